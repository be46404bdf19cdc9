// Writes the seed corpus: make_seeds DIRECTORY (tests/compress/fuzz/corpus).
#include <stdio.h>
#include <zstd.h>

#include <string>

#include "spoolrpc/compress/message_codec.h"
#include "tests/fuzz/seeds.h"

namespace {

std::string g_directory;  // NOLINT: a program of one function

// As codec_fuzz.cc takes it; `allowed` in units of 16 bytes.
void Save(const std::string& name, uint8_t flags, uint16_t allowed, const std::string& bytes) {
  spoolrpc::fuzz::Save(g_directory + "/codec/" + name,
                       spoolrpc::fuzz::Bytes(flags) + spoolrpc::fuzz::Bytes(allowed) + bytes);
}

std::string Compressed(const std::string& content) {
  std::string out;
  if (!spoolrpc::compress::Compress(content, &out).ok()) abort();
  return out;
}

std::string OfUnknownSize(const std::string& content) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string out(ZSTD_compressBound(content.size()), '\0');
  out.resize(ZSTD_compress2(context, &out[0], out.size(), content.data(), content.size()));
  ZSTD_freeCCtx(context);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: make_seeds DIRECTORY\n");
    return 2;
  }
  g_directory = argv[1];
  std::string text;
  for (int i = 0; i < 60; ++i) text += "a line of text, number " + std::to_string(i * i) + "\n";
  Save("round_trip_text", 1, 0, text);
  Save("round_trip_zeros", 1, 0, std::string(300, '\0'));
  Save("text", 0, 1000, Compressed(text));
  Save("text_too_large", 0, 10, Compressed(text));
  Save("empty", 0, 0, Compressed(""));
  Save("incompressible", 0, 10, Compressed("\x01q\xf3Z,7\x90"));
  Save("zeros", 0, 0xffff, Compressed(std::string(1000000, '\0')));
  Save("unknown_size", 0, 1000, OfUnknownSize(text));
  Save("unknown_size_too_large", 0, 10, OfUnknownSize(text));
  Save("unknown_size_zeros", 0, 0xffff, OfUnknownSize(std::string(1000000, '\0')));
  Save("two_frames", 0, 1000, Compressed(text) + Compressed(text));
  Save("skippable", 0, 1000, std::string("\x50\x2a\x4d\x18\x04\0\0\0abcd", 12));
  return 0;
}
