// Words, tables and hex dumps; above all that nothing hostile reaches the terminal.
#include "cli/text.h"

#include <string>

#include "gtest/gtest.h"

namespace spoolrpc::cli {
namespace {

TEST(PrintableTest, KeepsTextAndEscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("node-7/Grüße ☃ 𝄞"), "node-7/Grüße ☃ 𝄞");
  EXPECT_EQ(Printable("a\x1b[2Jb\n\t\x7f"), "a\\x1b[2Jb\\x0a\\x09\\x7f");
  EXPECT_EQ(Printable(absl::string_view("\0x", 2)), "\\x00x");
}

TEST(PrintableTest, EscapesWhatIsNoUtf8) {
  EXPECT_EQ(Printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(Printable("\xc3"), "\\xc3");                             // cut short
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(Printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // overlong
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b"
            "2J");                                          // C1: CSI
  EXPECT_EQ(Printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
}

TEST(FormatTest, Ages) {
  EXPECT_EQ(FormatAge(absl::Milliseconds(1240)), "1.2s");
  EXPECT_EQ(FormatAge(absl::Seconds(200)), "3m 20s");
  EXPECT_EQ(FormatAge(absl::Minutes(125)), "2h 05m");
  EXPECT_EQ(FormatAge(absl::Hours(76)), "3d 4h");
  EXPECT_EQ(FormatAge(-absl::Seconds(2)), "-2.0s");
  EXPECT_EQ(FormatAge(absl::InfiniteDuration()), "-");
}

TEST(FormatTest, CountsAndSizes) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(18446744073709551615u), "18,446,744,073,709,551,615");
  EXPECT_EQ(FormatSize(196608), "192 KiB");
  EXPECT_EQ(FormatSize(1), "1 byte");
  EXPECT_EQ(FormatSize(1025), "1,025 bytes");
  EXPECT_EQ(Plural(2, "frame"), "2 frames");
}

TEST(TableTest, AlignsByCharactersNotBytes) {
  EXPECT_EQ(Table({{"A", "B"}, {"ü", "x"}, {"long", "y"}}, " "),
            " A     B\n"
            " ü     x\n"
            " long  y\n");
}

TEST(HexDumpTest, ShowsBytesAndHowManyMoreThereAre) {
  EXPECT_EQ(HexDump("0123456789abcdef\x01", 64, "> "),
            "> 000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n"
            "> 000010  01                                                .\n");
  EXPECT_EQ(HexDump("abcdef", 2, ""),
            "000000  61 62                                             ab\n"
            "... and 4 bytes more\n");
  EXPECT_EQ(HexDump("", 16, ""), "");
}

}  // namespace
}  // namespace spoolrpc::cli
