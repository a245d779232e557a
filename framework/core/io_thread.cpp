#include "core/io_thread.hpp"

#include <csignal>
#include <utility>

namespace lawa {

IoThread::IoThread() {
  sigset_t all, before;  // signals are the first thread's
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

IoThread::~IoThread() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

int64_t IoThread::give(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  changed_.notify_all();
  return ++given_;
}

int64_t IoThread::done() const {
  const std::lock_guard lock(mutex_);
  return error_ ? failed : given_ - std::ssize(jobs_);
}

void IoThread::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return jobs_.empty(); });
}

std::exception_ptr IoThread::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, nullptr);
}

void IoThread::work() {
  for (std::unique_lock lock(mutex_);;) {
    changed_.wait(lock, [&] { return ends_ || !jobs_.empty(); });
    if (ends_) return;
    if (!error_) {
      const std::function<void()>& job = jobs_.front();  // stays there while others come behind it
      lock.unlock();
      std::exception_ptr error;
      try {
        job();
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      error_ = error;
    }
    jobs_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace lawa
