using System.Text.RegularExpressions;

namespace OrtCpr.Tests.House;

/// <summary>The C# blocks of documents stand, line for line, in sources that are compiled here.</summary>
[TestClass]
public sealed partial class DocBlockTests
{
    [TestMethod]
    [DataRow("docs/texts.md", "OrtCpr.Tests/House/DocExamples.cs")]
    [DataRow("docs/audio.md", "OrtCpr.Tests/House/DocExamples.cs")]
    [DataRow("docs/tables.md", "OrtCpr.Tests/House/TableExamples.cs")]
    public void Blocks_AreCompiled(string document, string source)
    {
        string[] code = [.. Lines(File.ReadAllText(Path.Combine(Repository.Root, source)))];
        string[] blocks = [.. Blocks().Matches(File.ReadAllText(Path.Combine(Repository.Root, document))).Select(m => m.Groups[1].Value)];
        Assert.IsNotEmpty(blocks);
        foreach (string block in blocks)
        {
            string[] lines = [.. Lines(block)];
            string[] usings = [.. lines.Where(l => l.StartsWith("using ", StringComparison.Ordinal) && !l.Contains('='))];
            Assert.IsEmpty(usings.Except(code).ToArray());
            string[] rest = [.. lines.Where(l => !usings.Contains(l))];
            Assert.IsTrue(Enumerable.Range(0, code.Length - rest.Length + 1).Any(at => code.AsSpan(at, rest.Length).SequenceEqual(rest)),
                $"{document}: this is not in {source}:\n{block}");
        }
    }

    private static IEnumerable<string> Lines(string text) => text.ReplaceLineEndings("\n").Split('\n').Select(l => l.Trim())
        .Where(l => l.Length > 0);

    [GeneratedRegex("```csharp\r?\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Blocks();
}
