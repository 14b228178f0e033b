using System.CommandLine;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using OrtCpr.Tool;

namespace OrtCpr.Tests.House;

/// <summary>What the documents show is so: programs compile, commands have these options, links lead somewhere.</summary>
[TestClass]
public sealed partial class DocumentationTests
{
    private static readonly RootCommand Root = ToolCommands.Create();

    [TestMethod]
    public void Programs_Compile()
    {
        Assert.IsGreaterThan(20, Markdown.All.Sum(d => d.Blocks.Count(b => b.Language == "csharp")));
        Check(Markdown.All.SelectMany(DocumentPrograms.Problems));
    }

    // In a folder with the models that the repository ships, and a text.
    [TestMethod]
    [DataRow("docs/choose-a-bound.md", "AfterStepsBound")]
    [DataRow("docs/embedding.md", "class scores: 5")]
    [DataRow("docs/extending.md", "within one")]
    [DataRow("docs/gradients.md", "Float[2,10]")]
    [DataRow("docs/language-models.md", "perplexity")]
    [DataRow("docs/resume.md", "the same bits: True")]
    [DataRow("docs/training-info.md", "the same loss: True")]
    public void Programs_OfGuides_Run(string document, string expected)
    {
        using var folder = new TemporaryFolder();
        foreach (string model in new[] { "mlp.onnx", "gpt2_5m.onnx" })
            File.Copy(Path.Combine(Repository.Root, "artifacts", model), folder[model]);
        File.Copy(Path.Combine(Repository.Root, "README.md"), folder["book.txt"]);
        string output = string.Concat(DocumentPrograms.Run(Markdown.All.Single(d => d.Path == document), folder.FolderPath, "12"));
        StringAssert.Contains(output, expected);
    }

    [TestMethod]
    public void Commands_HaveTheOptionsThatTheyAreGiven()
    {
        (string Place, string Command, bool IsWhole)[] commands = [.. Markdown.All.SelectMany(Commands)];
        Assert.IsGreaterThan(40, commands.Length);
        Check(commands.SelectMany(c => Problems(c.Command, c.IsWhole).Select(p => $"{c.Place}: {c.Command}: {p}")));
    }

    [TestMethod]
    public void VersionsToInstall_AreThoseOfTheRepository()
    {
        string readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));
        XDocument central = XDocument.Load(Path.Combine(Repository.Root, "Directory.Packages.props"));
        Match[] named = [.. PackageVersion().Matches(readme).Cast<Match>()];
        Assert.IsNotEmpty(named);
        foreach (Match package in named)
        {
            Assert.AreEqual(central.Descendants("PackageVersion").Single(p => p.Attribute("Include")!.Value == package.Groups[1].Value)
                .Attribute("Version")!.Value, package.Groups[2].Value, package.Value);
        }
    }

    [TestMethod]
    public void Links_LeadToFilesAndHeadings()
    {
        Dictionary<string, Markdown> documents = Markdown.All.ToDictionary(d => d.Path);
        Check(Markdown.All.SelectMany(document => document.Links
            .Where(l => !l.Target.Contains("://", StringComparison.Ordinal))
            .Where(l =>
            {
                string[] parts = l.Target.Split('#');
                string path = parts[0].Length == 0 ? document.Path : Relative(document, parts[0]);
                bool exists = File.Exists(Path.Combine(Repository.Root, path)) || Directory.Exists(Path.Combine(Repository.Root, path));
                return !exists || (parts.Length > 1 && !documents[path].Anchors.Contains(parts[1]));
            })
            .Select(l => $"{document.Path}:{l.Line}: the link {l.Target} leads nowhere")));
    }

    [TestMethod]
    public void Documents_AreListedInTheIndex()
    {
        Markdown index = Markdown.All.Single(d => d.Path == "docs/README.md");
        string[] listed = [.. index.Links.Select(l => Relative(index, l.Target.Split('#')[0]))];
        Check(Markdown.All.Where(d => d.Path.StartsWith("docs/", StringComparison.Ordinal) && d != index && !listed.Contains(d.Path))
            .Select(d => $"{d.Path} is not in docs/README.md"));
    }

    [TestMethod]
    [DataRow("ortcpr train mlp.onnx --data a.csv --no-such-option 3", true)]
    [DataRow("ortcpr train --data a.csv", true)]
    [DataRow("ortcpr tarin", false)]
    [DataRow("ortcpr train --no-such-option", false)]
    [DataRow("dotnet run --project OrtCpr.Tool -- head mlp.onnx --clases 3 --out x.onnx", true)]
    [DataRow("dotnet run -c Release --project samples/Nowhere", true)]
    [DataRow("bash tests/nowhere.sh", true)]
    public void WrongCommands_AreFound(string command, bool isWhole) => Assert.IsNotEmpty(Problems(command, isWhole));

    [TestMethod]
    [DataRow("ortcpr export trained --out 'a b.onnx'", true)]
    [DataRow("ortcpr train --config run.json", true)]
    [DataRow("ortcpr bench", false)]
    [DataRow("cargo build", true)]
    public void RightCommands_Pass(string command, bool isWhole) => Check(Problems(command, isWhole));

    // Lines of blocks are whole commands; code within a line of prose may leave arguments out.
    private static IEnumerable<(string Place, string Command, bool IsWhole)> Commands(Markdown document) =>
        document.Blocks.Where(b => b.Language is "" or "sh" or "bash" or "console")
            .SelectMany(b => b.Text.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n')
                .Select(line => ($"{b.Document}:{b.Line}", line.Trim(), true)))
            .Concat(document.Spans.Select(s => ($"{document.Path}:{s.Line}", s.Text, false)))
            .Where(c => c.Item2.StartsWith("ortcpr ", StringComparison.Ordinal)
                || c.Item2.StartsWith("dotnet run ", StringComparison.Ordinal) || c.Item2.StartsWith("bash ", StringComparison.Ordinal));

    private static IEnumerable<string> Problems(string command, bool isWhole)
    {
        string[] words = [.. Markdown.Words(command).Where(w => w is not ("…" or "..."))];
        if (words[0] == "bash") return Existing(words[1], isWhole);
        if (words[0] == "ortcpr") return OfTool(words[1..], isWhole);
        if (words is not ["dotnet", "run", ..]) return [];
        int project = Array.IndexOf(words, "--project"), end = Array.IndexOf(words, "--");
        if (project < 0) return [];
        IEnumerable<string> missing = Existing(words[project + 1], isWhole);
        return words[project + 1] == "OrtCpr.Tool" && end >= 0 && words[(end + 1)..] is not ["COMMAND"]
            ? missing.Concat(OfTool(words[(end + 1)..], isWhole)) : missing;
    }

    private static IEnumerable<string> OfTool(string[] words, bool isWhole)
    {
        words = ToolCommands.Dashed(words);
        // Options of a file, arguments among them.
        int config = Array.IndexOf(words, "--config");
        if (config >= 0) (words, isWhole) = ([.. words[..config], .. words[(config + 2)..]], false);
        ParseResult parsed = Root.Parse(words);
        // What is no option may pass as an argument.
        HashSet<string> options = [.. parsed.CommandResult.Command.Options.Concat(Root.Options).SelectMany(o => o.Aliases.Append(o.Name))];
        string[] unknown = [.. parsed.UnmatchedTokens,
            .. words.Where(w => w.StartsWith("--", StringComparison.Ordinal) && !options.Contains(w.Split('=')[0]))];
        if (isWhole) return parsed.Errors.Select(e => e.Message).Concat(unknown.Select(u => $"not known: {u}"));
        return parsed.CommandResult.Command == Root || unknown.Length > 0 ? [$"not known: {string.Join(' ', unknown)}"] : [];
    }

    // Words in capitals stand for a path of the reader's.
    private static string[] Existing(string path, bool isWhole) =>
        Path.Exists(Path.Combine(Repository.Root, path)) || (!isWhole && path.All(char.IsUpper)) ? [] : [$"{path} does not exist"];

    private static string Relative(Markdown document, string target) =>
        Path.GetRelativePath(Repository.Root,
            Path.GetFullPath(Path.Combine(Repository.Root, Path.GetDirectoryName(document.Path)!, target))).Replace('\\', '/');

    [GeneratedRegex(@"dotnet add package (\S+) --version (\S+)")]
    private static partial Regex PackageVersion();

    private static void Check(IEnumerable<string> problems)
    {
        string[] found = [.. problems];
        Assert.IsEmpty(found, string.Join('\n', found));
    }
}
