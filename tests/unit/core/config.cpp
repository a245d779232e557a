// Where a config's values come from, and what people are told when one is wrong.
#include "core/config.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Inner {
  int64_t count = 3;
  double rate = 0.5, share = 0.25;
};
template <class Visitor>
void visit(Inner& c, Visitor&& v) {
  v("count", c.count, "how many", between(1, 100));
  v("rate", c.rate, "how fast", positive());
  v("share", c.share, "how much", between(0, 1));
}

struct Example {
  bool flag = false;
  uint64_t seed = 1;
  std::string kind = "cosine", place = "here";
  std::vector<std::string> paths{"a.bin"};
  Inner inner;
};
template <class Visitor>
void visit(Example& c, Visitor&& v) {
  v("flag", c.flag, "yes or no");
  v("seed", c.seed, "any");
  v("kind", c.kind, "which", one_of({"cosine", "constant"}));
  v("place", c.place, "a path", a_path());
  v("paths", c.paths, "one path or more", a_path());
  v("inner", c.inner, "");
}

Example from_toml(const std::string& text) {
  ConfigSource source;
  source.add_toml(text, "run.toml");
  return load_config<Example>(source);
}
Example from_word(const std::string& word) {
  ConfigSource source;
  source.add_override(word);
  return load_config<Example>(source);
}
std::string error_of_toml(const std::string& text) {
  return error_of([&] { from_toml(text); });
}
std::string error_of_word(const std::string& word) {
  return error_of([&] { from_word(word); });
}

TEST(Config, DefaultsYieldToFilesInTheirOrderAndFilesToWords) {
  ConfigSource source;
  source.add_toml("seed = 2\nplace = 'first'\n[inner]\ncount = 4\nrate = 2", "first.toml");
  source.add_toml("place = 'second'\ninner.count = 5", "second.toml");
  source.add_override("inner.count=6");
  const auto config = load_config<Example>(source);
  EXPECT_EQ(config.inner.share, 0.25);
  EXPECT_EQ(config.seed, 2u);
  EXPECT_EQ(config.inner.rate, 2.0);
  EXPECT_EQ(config.place, "second");
  EXPECT_EQ(config.inner.count, 6);
  EXPECT_EQ(source.where("seed"), " (first.toml:1)");
  EXPECT_EQ(source.where("place"), " (second.toml:1)");
  EXPECT_EQ(source.where("inner.count"), " (command line)");
  EXPECT_EQ(source.where("inner.share"), "");
}

TEST(Config, AnUnknownKeyIsNamedWithItsPlaceAndTheKeyThatWasMeant) {
  EXPECT_EQ(error_of_toml("flag = true\n[inner]\ncuont = 4"), "unknown key inner.cuont (run.toml:3); did you mean inner.count?");
  EXPECT_EQ(error_of_word("sed=3"), "unknown key sed (command line); did you mean seed?");
  EXPECT_EQ(error_of_toml("nothing_like_any_of_them = 1"), "unknown key nothing_like_any_of_them (run.toml:1)");
  EXPECT_THAT(error_of_toml("inner = 4"), HasSubstr("unknown key inner (run.toml:1)"));
}

TEST(Config, AWrongTypeIsNamedWithItsKeyAndPlace) {
  EXPECT_EQ(error_of_toml("\n\nflag = 1"), "flag (run.toml:3): expected a boolean, got an integer");
  EXPECT_EQ(error_of_toml("inner.count = 4.0"), "inner.count (run.toml:1): expected an integer, got a number");
  EXPECT_EQ(error_of_toml("inner.rate = 'fast'"), "inner.rate (run.toml:1): expected a number, got a string");
  EXPECT_EQ(error_of_toml("place = ['a']"), "place (run.toml:1): expected a string, got an array");
  EXPECT_EQ(error_of_toml("paths = ['a', ['b']]"), "paths (run.toml:1): expected a string, got an array");
  EXPECT_EQ(error_of_word("inner.count=2024-05-01"), "inner.count (command line): expected an integer, got a string");
}

TEST(Config, WhatLooksLikeAnotherTypeIsAStringWhereOneIsWanted) {
  for (const std::string text : {"2026", "true", "1.50", "1e3", "0x1f", "2024-05-01", "1_000", "inf", "+7", "07:30:00", "2024-05-01T07:30:00Z"}) {
    EXPECT_EQ(from_word("place=" + text).place, text);
    EXPECT_EQ(from_toml("flag = true  # é\nplace = " + text + "  # why\n").place, text);
    EXPECT_THAT(from_toml("paths = ['é', " + text + ",\n  " + text + "]").paths, ElementsAre("é", text, text));
    EXPECT_THAT(from_word("paths=[" + text + ", 'b']").paths, ElementsAre(text, "b"));
    EXPECT_THAT(from_word("paths=" + text).paths, ElementsAre(text));
  }
  EXPECT_EQ(from_word("place=2026#b").place, "2026#b");
  EXPECT_EQ(from_word("seed=3 ").seed, 3u);
}

TEST(Config, PathsKnowTheHomeAndTheEnvironment) {
  ::setenv("HOME", "/home/me", 1);
  ::setenv("LAWA_TEST_PLACE", "/scratch", 1);
  ::unsetenv("LAWA_TEST_NOWHERE");
  EXPECT_EQ(from_word("place=~/runs/a").place, "/home/me/runs/a");
  EXPECT_EQ(from_toml("place = '~'").place, "/home/me");
  EXPECT_EQ(from_toml("place = '$LAWA_TEST_PLACE/a'").place, "/scratch/a");
  EXPECT_THAT(from_toml("paths = ['${LAWA_TEST_PLACE}b', '$LAWA_TEST_PLACE/$LAWA_TEST_PLACE']").paths, ElementsAre("/scratchb", "/scratch//scratch"));
  for (const std::string plain : {"a~b", "~other/x", "runs/$", "a$5", "$", "~~", "$/x", "${}", "${HOME", "$5HOME", "x~/y", "${5a}"}) EXPECT_EQ(from_word("place=" + plain).place, plain);
  EXPECT_EQ(from_word("kind=cosine").kind, "cosine");
  EXPECT_THAT(error_of_toml("\nplace = '$LAWA_TEST_NOWHERE/a'"),
              HasSubstr("place (run.toml:2): $LAWA_TEST_NOWHERE/a: the environment has no LAWA_TEST_NOWHERE (export it; mpirun passes it on with -x"));
}

TEST(Config, TablesAndListsAreReadAsDeepAsAnybodyMeansThem) {
  std::string dotted, inline_tables, closed;
  for (int i = 0; i < 120; ++i) dotted += "a.", inline_tables += "{a = ", closed += "}";
  const auto too_deep = HasSubstr("tables and lists lie in each other");
  for (const std::string& text : {dotted + "a = 1", "[" + dotted + "a]", "a = " + inline_tables + "1" + closed, "\"a,\"." + dotted + "'=' = 1"})
    EXPECT_THAT(error_of_toml(text), too_deep) << text;
  EXPECT_THAT(error_of([&] { from_word("place=" + inline_tables + "1" + closed); }), too_deep);
  for (const std::string& text : {"place = '" + dotted + "'", "place = \"" + dotted + "\\\"\"", "# " + dotted, "place = \"\"\"\n" + dotted + "\"\"\"\"",
                                  "paths = ['" + dotted + "', '" + dotted + "']"})
    EXPECT_EQ(error_of_toml(text), "no error") << text;
  std::string numbers = "inner = { rate = 1.5, share = 0.5, count = 7 }\n# ";
  EXPECT_EQ(from_toml(numbers + dotted).inner.count, 7);
}

TEST(Config, LongListsTakeAsLongAsTheyAre) {
  std::string list = "paths = ['é'";
  for (int i = 0; i < 20'000; ++i) list += ", " + std::to_string(i);
  const Example read = from_toml(list + "]");
  EXPECT_EQ(read.paths.size(), 20'001u);
  EXPECT_EQ(read.paths.back(), "19999");
}

TEST(Config, WhatExistsUnderItsNameIsNoPattern) {
  const test::TemporaryDirectory folder;
  const std::string path = (folder / "$HOME").string();
  std::filesystem::create_directory(path);
  EXPECT_EQ(from_word("place=" + path).place, path);
}

TEST(Config, ItsKeysAreThoseThatItCanHave) {
  EXPECT_THAT(keys_of<Example>(), testing::UnorderedElementsAre("flag", "seed", "kind", "place", "paths", "inner.count", "inner.rate", "inner.share"));
}

TEST(Config, AValueOutsideItsLimitsIsNamedWithTheLimit) {
  EXPECT_EQ(error_of_toml("seed = -1"), "seed (run.toml:1): -1 must be at least 0");
  EXPECT_EQ(error_of_toml("inner.count = 0"), "inner.count (run.toml:1): 0 must be at least 1");
  EXPECT_EQ(error_of_toml("inner.count = 101"), "inner.count (run.toml:1): 101 must be at most 100");
  EXPECT_EQ(error_of_toml("inner.rate = 0"), "inner.rate (run.toml:1): 0.0 must be greater than 0");
  EXPECT_THAT(error_of_toml("inner.rate = inf"), AllOf(HasSubstr("inner.rate (run.toml:1)"), HasSubstr("not a finite number")));
  EXPECT_THAT(error_of_toml("inner.share = nan"), AllOf(HasSubstr("inner.share (run.toml:1)"), HasSubstr("not a finite number")));
  EXPECT_EQ(error_of_toml("kind = 'cosin'"), "kind (run.toml:1): \"cosin\" must be one of: cosine, constant");
}

TEST(Config, LimitsThemselvesAreLegal) {
  EXPECT_EQ(from_toml("inner.count = 1").inner.count, 1);
  EXPECT_EQ(from_toml("inner.count = 100").inner.count, 100);
  EXPECT_EQ(from_toml("inner.share = 0").inner.share, 0);
  EXPECT_EQ(from_toml("seed = 0").seed, 0u);
}

TEST(Config, ATextThatIsNotTomlIsNamedWithFileAndLine) {
  EXPECT_THAT(error_of_toml("seed = 1\nplace = \n"), HasSubstr("run.toml:2: not valid TOML"));
  EXPECT_THAT(error_of_toml("paths = ['a', {b = 1}]"), HasSubstr("paths (run.toml:1): tables among other values"));
}

TEST(Config, ADumpReadsBackToTheSameConfig) {
  Example config;
  config.flag = true;
  config.seed = 9'007'199'254'740'993;  // not a double
  config.kind = "constant";
  config.place = "a \"quoted\" C:\\folder\twith = and # and é\nand a second line";
  config.paths = {"one.bin", "", "t'wo\".bin"};
  config.inner = {.count = 100, .rate = 6e-4, .share = 0.1 + 0.2};
  for (const bool with_help : {false, true}) {
    const Example again = from_toml(dump_config(config, with_help));
    EXPECT_EQ(dump_config(again), dump_config(config));
    EXPECT_EQ(again.seed, config.seed);
    EXPECT_EQ(again.place, config.place);
    EXPECT_EQ(again.paths, config.paths);
    EXPECT_EQ(again.inner.share, config.inner.share);
  }
}

TEST(Config, NumbersOfEverySizeSurviveADump) {
  for (const double number : {1.0, 1e22, 1e-300, 5e-324, 1.7976931348623157e308, 0.1, 123456789.0, 6e-05}) {
    Example config;
    config.inner.rate = number;
    EXPECT_EQ(from_toml(dump_config(config)).inner.rate, number);
  }
}

TEST(Config, ADumpHasOneKeyALineInTheOrderOfTheStruct) {
  EXPECT_EQ(dump_config(Example()),
            "flag = false\nseed = 1\nkind = \"cosine\"\nplace = \"here\"\npaths = [\"a.bin\"]\n"
            "inner.count = 3\ninner.rate = 0.5\ninner.share = 0.25\n");
  EXPECT_THAT(dump_config(Example(), true), HasSubstr("# how many\n"));
}

TEST(Config, ArraysReplaceTheDefaultAndAStringIsAnArrayOfOne) {
  EXPECT_THAT(from_toml("paths = ['x', 'y']").paths, ElementsAre("x", "y"));
  EXPECT_THAT(from_toml("paths = 'x'").paths, ElementsAre("x"));
  EXPECT_THAT(from_toml("paths = []").paths, ElementsAre());
  EXPECT_THAT(from_word("paths=[\"x\", \"y z\"]").paths, ElementsAre("x", "y z"));
}

TEST(Config, TablesInArraysGetNumbers) {
  ConfigSource source;
  source.add_toml("[[averages]]\nwindow = 5\n[[averages]]\nwindow = 7\nstride.x = 1", "run.toml");
  EXPECT_EQ(source.list_length("averages"), 2u);
  ASSERT_NE(source.find("averages.1.window"), nullptr);
  EXPECT_EQ(std::get<int64_t>(source.find("averages.1.window")->value.data), 7);
  EXPECT_EQ(source.where("averages.1.stride.x"), " (run.toml:5)");
  EXPECT_EQ(source.find("averages.2.window"), nullptr);
}

struct Lists {
  int64_t count = 1;
  std::vector<Inner> inners{};
  std::string behind = "x";
};
template <class Visitor>
void visit(Lists& c, Visitor&& v) {
  v("count", c.count, "how many");
  v("inners", c.inners, "any number of them");
  v("behind", c.behind, "which");
}
Lists lists_from(const std::string& text, const std::vector<std::string>& words = {}) {
  ConfigSource source;
  source.add_toml(text, "run.toml");
  for (const std::string& word : words) source.add_override(word);
  return load_config<Lists>(source);
}

TEST(ConfigLists, HoldAsManyTablesAsAreGiven) {
  EXPECT_TRUE(lists_from("count = 2").inners.empty());
  const Lists lists = lists_from("[[inners]]\ncount = 5\n[[inners]]\nrate = 7", {"inners.1.share=1", "count=3"});
  ASSERT_EQ(lists.inners.size(), 2u);
  EXPECT_EQ(lists.inners[0].count, 5);
  EXPECT_EQ(lists.inners[0].rate, 0.5);
  EXPECT_EQ(lists.inners[1].count, 3);
  EXPECT_EQ(lists.inners[1].rate, 7);
  EXPECT_EQ(lists.inners[1].share, 1);
}

TEST(ConfigLists, ReplaceEachOtherAsAWhole) {
  ConfigSource source;
  source.add_toml("[[inners]]\ncount = 5\nrate = 9\n[[inners]]\ncount = 6", "a.toml");
  source.add_toml("[[inners]]\ncount = 7", "b.toml");
  const auto lists = load_config<Lists>(source);
  ASSERT_EQ(lists.inners.size(), 1u);
  EXPECT_EQ(lists.inners[0].count, 7);
  EXPECT_EQ(lists.inners[0].rate, 0.5) << "nothing is left of the older list";
  EXPECT_TRUE(lists_from("[[inners]]\ncount = 5", {"inners=[]"}).inners.empty());
  EXPECT_EQ(lists_from("[[inners]]\ncount = 5", {"inners=[{count=8}, {count=9}]"}).inners.at(1).count, 9);
  EXPECT_EQ(lists_from("count = 5", {"inners.0.count=8"}).inners.at(0).count, 8);
  EXPECT_EQ(lists_from("[[inners]]\n[[inners]]\n").inners.size(), 2u) << "tables with the defaults";
}

TEST(ConfigLists, ADumpIsTomlThatReadsBack) {
  const Lists lists = lists_from("[[inners]]\ncount = 5\n[[inners]]\nrate = 7");
  EXPECT_EQ(dump_config(lists),
            "count = 1\nbehind = \"x\"\n\n[[inners]]\ncount = 5\nrate = 0.5\nshare = 0.25\n"
            "\n[[inners]]\ncount = 3\nrate = 7.0\nshare = 0.25\n");
  EXPECT_EQ(dump_config(lists_from(dump_config(lists))), dump_config(lists));
  EXPECT_THAT(dump_config(Lists(), true), HasSubstr("[[inners]]  # any number of them\ncount = 3"));
}

TEST(ConfigLists, MistakesAreNamedWithTheirPlace) {
  const auto error = [](const std::string& text, const std::vector<std::string>& words = {}) {
    return error_of([&] { lists_from(text, words); });
  };
  EXPECT_THAT(error("[[inners]]\ncount = 5\n[[inners]]\ncount = 0"), HasSubstr("inners.1.count (run.toml:4): 0 must be at least 1"));
  EXPECT_THAT(error("[[inners]]\nsize = 5"), HasSubstr("unknown key inners.0.size (run.toml:2)"));
  EXPECT_THAT(error("inners = 3"), HasSubstr("inners (run.toml:1): expected a list of tables, [[inners]], got an integer"));
  EXPECT_THAT(error("inners.count = 3"), HasSubstr("inners.count (run.toml:1): inners is a list of tables"));
  EXPECT_THAT(error("", {"inners.2.count=3"}), HasSubstr("inners: table 2 is given, and table 0 isn't"));
  EXPECT_THAT(error("[[inners]]", {"inners.1.count=3"}), HasSubstr("inners.1.count (command line): inners has 1 table, counted from 0"));
  EXPECT_THAT(error("", {"inners.00.count=3"}), HasSubstr("inners.00.count (command line): inners is a list of tables"));
  EXPECT_THAT(error("inners = [[]]"), HasSubstr("inners (run.toml:1): expected a list of tables"));
}

/// The kind decides which of the other keys there are.
struct Kinds {
  std::string kind = "round";
  int64_t corners = 4;
  bool old = true;
};
template <class Visitor>
void visit(Kinds& c, Visitor&& v) {
  v("kind", c.kind, "round or square");
  v("corners", c.corners, "how many", only_with("kind = \"square\"", c.kind == "square", at_least(3)));
  v("old", c.old, "came later", unsaid_where(c.old));
}

TEST(Config, AKeyThatTheOthersMakeMeaninglessIsRefusedAndNotDumped) {
  const auto from = [](const std::string& text) {
    ConfigSource source;
    source.add_toml(text, "run.toml");
    return load_config<Kinds>(source);
  };
  EXPECT_EQ(error_of([&] { from("kind = 'round'\ncorners = 5"); }), "corners (run.toml:2): is only for kind = \"square\"");
  EXPECT_EQ(error_of([&] { from("kind = 'square'\ncorners = 2"); }), "corners (run.toml:2): 2 must be at least 3");
  EXPECT_EQ(from("corners = 5\nkind = 'square'").corners, 5);
  EXPECT_EQ(dump_config(Kinds()), "kind = \"round\"\n");
  EXPECT_EQ(dump_config(from("corners = 5\nkind = 'square'")), "kind = \"square\"\ncorners = 5\n");
  EXPECT_THAT(dump_config(Kinds(), true), AllOf(HasSubstr("# corners = 4 "), HasSubstr("# how many; only with kind = \"square\"\n")));
}

TEST(Config, AKeyThatCameLaterIsDumpedOnlyWhereItSaysSomething) {
  ConfigSource source;
  source.add_toml("old = false", "run.toml");
  EXPECT_EQ(dump_config(load_config<Kinds>(source)), "kind = \"round\"\nold = false\n");
  EXPECT_THAT(dump_config(Kinds(), true), HasSubstr("\nold = true "));
}

TEST(ConfigWords, PathsNeedNoQuotes) {
  for (const std::string path : {"/data/run 1/x=y.bin", "../out", "run#3", "it's", "C:\\new", "a\"b", "[draft", "x\ny=1"})
    EXPECT_EQ(from_word("place=" + path).place, path);
}

TEST(ConfigWords, AreTomlWhereTheyCanBe) {
  EXPECT_EQ(from_word("place=\"1\"").place, "1");
  EXPECT_EQ(from_word("place=''").place, "");
  EXPECT_EQ(from_word("inner.rate=1").inner.rate, 1.0);
  EXPECT_EQ(from_word("inner.count=1_0").inner.count, 10);
  EXPECT_TRUE(from_word("flag=true").flag);
}

TEST(ConfigWords, WithoutAKeyOrAValueAreRefused) {
  EXPECT_THAT(error_of_word("place"), HasSubstr("expected key=value, got: place"));
  EXPECT_THAT(error_of_word("=3"), HasSubstr("expected key=value"));
  EXPECT_THAT(error_of_word("place="), HasSubstr("place (command line): has no value"));
  EXPECT_THAT(error_of_word("inner.count=3\ninner.rate=9"), HasSubstr("expected an integer, got a string"));
}

struct Checked {
  int64_t low = 1, high = 2;
};
template <class Visitor>
void visit(Checked& c, Visitor&& v) {
  v("low", c.low, "");
  v("high", c.high, "");
}
void check(const Checked& c, const ConfigSource& source) {
  LAWA_CHECK(c.low < c.high, "low", source.where("low"), " is over high", source.where("high"));
}

TEST(Config, ACheckOverSeveralKeysRunsAfterAllAreRead) {
  ConfigSource source;
  source.add_toml("low = 5\nhigh = 6", "a.toml");
  EXPECT_NO_THROW(load_config<Checked>(source));
  source.add_override("high=4");
  EXPECT_EQ(error_of([&] { load_config<Checked>(source); }), "low (a.toml:1) is over high (command line)");
}

}  // namespace
}  // namespace lawa
