"""Two hosts on this machine: network namespaces with a cable between them, and names of their own."""
import os
import subprocess

from runner import ENVIRONMENT, PROGRAM

AGENT = """#!/bin/sh
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c 'hostname "$0"; shift 0; exec sh -c "$*"' "$host" "$@"
"""


class NoNamespaces(Exception):
    """This user, or this system, can't have any."""


class TwoHosts:
    """lawa_a and lawa_b with addresses 10.77.x.1 and .2; mpirun on the first reaches the second without ssh."""

    def __init__(self, folder):
        self.names = [f"lawa{os.getpid()}{letter}" for letter in "ab"]
        self.links = [f"lw{os.getpid()}{letter}" for letter in "ab"]
        self.addresses = [f"10.77.{os.getpid() % 250}.{i}" for i in (1, 2)]
        self.agent = folder / "agent.sh"
        self.agent.write_text(AGENT)
        self.agent.chmod(0o755)

    def ip(self, *words):
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def __enter__(self):
        try:
            for name in self.names:
                self.ip("netns", "add", name)
            self.ip("link", "add", self.links[0], "type", "veth", "peer", "name", self.links[1])
            for name, link, address in zip(self.names, self.links, self.addresses):
                self.ip("link", "set", link, "netns", name)
                self.ip("-n", name, "address", "add", f"{address}/24", "dev", link)
                self.ip("-n", name, "link", "set", link, "up")
                self.ip("-n", name, "link", "set", "lo", "up")
        except FileNotFoundError:   # no ip
            raise NoNamespaces from None
        except (OSError, subprocess.CalledProcessError):
            self.__exit__()
            raise NoNamespaces from None
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    def cut(self):
        self.ip("-n", self.names[0], "link", "set", self.links[0], "down")

    def start(self, *words, **variables):
        """A rank on each."""
        options = ["-mca", "plm_rsh_agent", str(self.agent), "-mca", "btl", "self,tcp", "--host", ",".join(self.names), "-np", "2"]
        options += [word for name in variables for word in ("-x", name)]
        command = ["sh", str(self.agent), self.names[0], "mpirun", *options, str(PROGRAM), *map(str, words)]
        return subprocess.Popen(command, env=ENVIRONMENT | variables, text=True, start_new_session=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
