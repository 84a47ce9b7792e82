// SPDX-License-Identifier: Apache-2.0
// Makes what the workloads of workloads/ work on, the same each time, to standard output.
//
//   inputs text BYTES         sentences of a vocabulary in which few words are frequent
//   inputs lines COUNT        lines of a hexadecimal number, a word and a decimal number, in no order
//   inputs c LINES [SEED]     a C file of about so many lines, whose functions differ with the seed
//   inputs sql ROWS           statements that make a table, insert rows one by one and ask for sums of them
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint32_t next(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 32) * below >> 32);
}

// Word `number`, of two to five syllables, which begins like no word before it.
static const char* word(uint32_t number) {
  static const char consonants[] = "bdfgklmnprstvz", vowels[] = "aeiou";
  static char text[16];
  char* at = text;
  number++;
  do {
    *at++ = consonants[number % 14];
    number /= 14;
    *at++ = vowels[number % 5];
    number /= 5;
  } while (number != 0 || at - text < 4);
  *at = 0;
  return text;
}

// Small numbers are frequent.
static uint32_t any_word(void) { return next(1 + next(1 + next(8192))); }

static void text(long bytes) {
  long done = 0;
  for (uint32_t column = 0; done < bytes;) {
    char line[64];
    const uint32_t kind = next(16);
    const int length = snprintf(line, sizeof line,
                                kind == 0   ? "%s. "
                                : kind == 1 ? "%s, "
                                : kind == 2 ? "%s\n"
                                            : "%s ",
                                word(any_word()));
    if (column == 0 && line[0] >= 'a') line[0] = (char)(line[0] - 32);
    column = kind == 2 ? 0 : column + 1;
    const long part = length < bytes - done ? length : bytes - done;
    fwrite(line, 1, (size_t)part, stdout);
    done += part;
  }
}

static void lines(long count) {
  for (long i = 0; i < count; i++) printf("%08x %s %u\n", next(UINT32_MAX), word(any_word()), next(1000000));
}

static void c_file(long count, uint64_t seed) {
  state += seed * 0x9e3779b97f4a7c15;
  printf("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\n");
  printf("struct item {\n  struct item* next;\n  unsigned key, weight;\n  double share;\n  char name[24];\n};\n\n");
  unsigned functions = 0;
  for (long done = 12; done < count; functions++) {
    const unsigned kind = next(4), a = 2 + next(97), b = 3 + next(61);
    switch (kind) {
      case 0:
        printf(
            "unsigned f%llu_%u(const unsigned char* text, unsigned length) {\n  unsigned sum = %u;\n"
            "  for (unsigned i = 0; i < length; i++) {\n    if (text[i] %% %u == 0)\n      sum = sum * %u + text[i];\n"
            "    else\n      sum ^= sum >> %u;\n  }\n  return sum;\n}\n\n",
            (unsigned long long)seed, functions, a, b, a | 1, 1 + next(15));
        done += 11;
        break;
      case 1:
        printf(
            "struct item* f%llu_%u(struct item* list, unsigned key) {\n  struct item** at = &list;\n"
            "  while (*at && (*at)->key < key * %u) {\n    (*at)->weight += %u;\n    (*at)->share *= %u.%u;\n"
            "    at = &(*at)->next;\n  }\n  if (*at && !strcmp((*at)->name, \"%s\")) *at = (*at)->next;\n"
            "  return list;\n}\n\n",
            (unsigned long long)seed, functions, a, b, next(3), next(1000), word(any_word()));
        done += 11;
        break;
      case 2: {
        printf("int f%llu_%u(int value, int other) {\n  switch (value %% %u) {\n", (unsigned long long)seed, functions,
               b);
        const unsigned cases = 4 + next(12);
        for (unsigned i = 0; i < cases; i++)
          printf("    case %u: other += value * %u - %u; break;\n", i, a + i, next(1000));
        printf("    default: return other / (value | 1);\n  }\n  return other;\n}\n\n");
        done += 7 + (long)cases;
        break;
      }
      default:
        printf(
            "double f%llu_%u(const double* left, const double* right, int size) {\n  double sum = %u.5;\n"
            "  for (int i = 0; i < size; i++)\n    for (int j = i; j < size; j += %u)\n"
            "      sum += left[i * size + j] * right[j * size + i] - %u;\n  return sum > 0 ? sum : -sum;\n}\n\n",
            (unsigned long long)seed, functions, a, 1 + next(4), b);
        done += 8;
        break;
    }
  }
}

static void sql(long rows) {
  printf(
      "PRAGMA synchronous = off;\nCREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER, share REAL);\n");
  printf("BEGIN;\n");
  for (long i = 0; i < rows; i++)
    printf("INSERT INTO item VALUES (%ld, '%s', %u, %u.%02u);\n", i, word(any_word()), next(100000), next(100),
           next(100));
  printf("COMMIT;\nCREATE INDEX item_name ON item (name);\n");
  printf("SELECT count(*), sum(amount), max(name) FROM item;\n");
  printf("SELECT name, count(*), sum(amount) FROM item GROUP BY name ORDER BY 2 DESC, 1 LIMIT 20;\n");
  printf("SELECT count(*) FROM item a JOIN item b ON a.name = b.name AND a.id = b.id + 7;\n");
  printf("UPDATE item SET amount = amount + 1 WHERE id %% 3 = 0;\nSELECT sum(amount) FROM item WHERE share > 50;\n");
  for (uint32_t i = 0; i < 200; i++) printf("SELECT sum(amount) FROM item WHERE name = '%s';\n", word(any_word()));
}

int main(int argc, char** argv) {
  const char* const kind = argc > 2 ? argv[1] : "";
  const long amount = argc > 2 ? atol(argv[2]) : 0;
  static char buffer[1 << 16];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  if (amount <= 0) {
    fprintf(stderr, "usage: inputs text|lines|c|sql AMOUNT [SEED]\n");
    return 1;
  }
  if (!strcmp(kind, "text"))
    text(amount);
  else if (!strcmp(kind, "lines"))
    lines(amount);
  else if (!strcmp(kind, "c"))
    c_file(amount, argc > 3 ? strtoull(argv[3], NULL, 10) : 0);
  else if (!strcmp(kind, "sql"))
    sql(amount);
  else
    return fprintf(stderr, "inputs: nothing of the kind %s\n", kind), 1;
  return fflush(stdout) != 0;
}
