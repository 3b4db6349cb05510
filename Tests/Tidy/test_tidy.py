"""What scripts/tidy finds, and what it lets pass: python3 Tests/Tidy/test_tidy.py"""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts/tidy"
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("tidy", str(SCRIPT))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
loader.exec_module(tidy)

GOOD = "import ShuntCore\n\n/// Counts messages.\nstruct Counter {\n    var count = 0\n}\n"


def found(text, path="Sources/ShuntCore/Counter.swift", page="| `ShuntCore` | |\n| `docs` | |\n"):
    """The rules that a file breaks, with the lines."""
    with tempfile.TemporaryDirectory() as folder:
        tidy.ROOT = pathlib.Path(folder)
        (tidy.ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (tidy.ROOT / "ARCHITECTURE.md").write_text(page)
        (tidy.ROOT / path).write_text(text)
        return [(rule, line) for _, line, rule, _ in tidy.check([pathlib.Path(path)])]


class Rules(unittest.TestCase):
    def test_good_files_pass(self):
        self.assertEqual(found(GOOD), [])
        self.assertEqual(found("#include <stdio.h>\n\n// Prints.\nint main(void) { return 0; }\n", "Sources/ShuntCore/main.c"), [])
        self.assertEqual(found("# Page\n\nThe worker answers.\n", "docs/page.md"), [])

    def test_lengths(self):
        self.assertEqual(found(GOOD + "// .\n" * 445), [("file length", 1)])
        self.assertEqual(found(GOOD + "// .\n" * 444), [])
        function = "func long() {\n" + "    count += 1\n" * 59 + "}\n"
        self.assertEqual(found(GOOD + function), [("function length", 7)])
        self.assertEqual(found(GOOD + function.replace("    count += 1\n", "", 1)), [])
        self.assertEqual(found(GOOD + "func text() -> String {\n" + '    return "}"\n' * 60 + "}\n"), [("function length", 7)])
        self.assertEqual(
            found("// Adds.\nint add(int a,\n        int b) {\n" + "    a++;\n" * 60 + "}\n", "Sources/ShuntCore/a.c"),
            [("function length", 2)])
        self.assertEqual(found(GOOD + "//" + " x" * 75 + "\n"), [("line length", 7)])
        self.assertEqual(found("|" + "x" * 200 + "|\n", "docs/page.md"), [])
        self.assertEqual(found("x" * 151 + "\n", "docs/page.md"), [("line length", 1)])

    def test_the_code_map_names_folders_and_files_that_are_there(self):
        self.assertEqual(found(GOOD, "Sources/ShuntCore/New/Counter.swift"), [("code map", 1)])
        self.assertEqual(found(GOOD, page="`docs`\n"), [("code map", 1)])
        self.assertEqual(found(GOOD, page="`ShuntCore`\n| `ShuntCore/Old` | gone |\n"), [("code map", 2)])
        self.assertEqual(found(GOOD, page="`ShuntCore`\nShuntCore/Old.swift\n"), [("code map", 2)])
        self.assertEqual(found(GOOD, page="`ShuntCore`\nShuntCore/Counter.swift\n"), [])

    def test_a_file_begins_with_a_comment(self):
        self.assertEqual(found(GOOD.replace("/// Counts messages.\n", "")), [("first comment", 3)])
        self.assertEqual(found("extension Counter {\n    /// One more.\n    func count() {}\n}\n"), [])
        self.assertEqual(found("int main(void) { return 0; }\n", "Sources/ShuntCore/main.c"), [("first comment", 1)])

    def test_unsafe_code_has_a_reason(self):
        for code in (
            "final class A: @unchecked Sendable {}", "nonisolated(unsafe) var a = 0", "let a = try! b()", "let a = b as! Int", "let a = b!",
            "let a = b()!.c", "let a = b[0]!", "fatalError()", "let a = b.unsafelyUnwrapped", "let a = Unmanaged.passRetained(b)",
            "let a = b.assumingMemoryBound(to: Int.self)", "unowned(unsafe) let a: B", "let a = unsafeBitCast(b, to: Int.self)",
        ):
            self.assertEqual(found(GOOD + code + "\n"), [("unsafe", 7)], code)
            self.assertEqual(found(GOOD + "// The only owner.\n" + code + "\n"), [], code)
            self.assertEqual(found(GOOD + "// The only owner.\n\n\n\n" + code + "\n"), [("unsafe", 11)], code)
            self.assertEqual(found(GOOD + code + "\n", "Tests/ShuntCoreTests/Counter.swift", "`Tests`"), [], code)
        for code in ("let a = b != c", "let a = !b", 'let a = "b!"', "let a = b.baseAddress.unsafelyUnwrapped", "// try! hard"):
            self.assertEqual(found(GOOD + code + "\n"), [], code)

    def test_doc_comments_are_sentences(self):
        self.assertEqual(found(GOOD + "/// counts.\nlet a = 0\n"), [("doc comment", 7)])
        self.assertEqual(found(GOOD + "/// Counts\nlet a = 0\n"), [("doc comment", 7)])
        self.assertEqual(found(GOOD + "/// Counts.\n/// - Returns: nothing\nlet a = 0\n"), [("doc comment", 8)])
        self.assertEqual(found(GOOD + "/// - Returns: nothing.\nlet a = 0\n"), [])

    def test_phrases(self):
        for text in (
            "whoever asks.", "It closes. Who asks is told.", "The size is that of a frame.", "of which one is taken.", "What is there is kept.",
            "It is kept. Those that are not go.", "All but for one's own.", "It is none.",
        ):
            self.assertIn("phrase", {rule for rule, _ in found(GOOD + f"// {text}\n")}, text)
            self.assertIn("phrase", {rule for rule, _ in found(f"# Page\n{text}\n", "docs/page.md")}, text)
        self.assertEqual(found("# Page\n```\nwhoever\n```\n`whoever`\n", "docs/page.md"), [])
        self.assertEqual(found(GOOD + "// The loop sends\n// it; our client reads.\n"), [("first person", 8)])
        self.assertEqual(found(GOOD + "// No I/O.\n"), [])

    def test_workplaces(self):
        for text in ("/wo" + "rk/main", "/ho" + "me/ann/shunt", "a help" + "er of"):
            self.assertEqual(found(f"# Page\n{text}\n", "docs/page.md"), [("workplace", 2)], text)


if __name__ == "__main__":
    unittest.main()
