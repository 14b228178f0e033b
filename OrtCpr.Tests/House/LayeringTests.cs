using System.Collections.Concurrent;
using System.Text.RegularExpressions;

namespace OrtCpr.Tests.House;

/// <summary>The folders of a library use each other in one direction only.</summary>
[TestClass]
public sealed partial class LayeringTests
{
    /// <summary>Arrows of cycles that are not broken yet, by project. The list may only shrink: an arrow that the sources no longer have
    /// must go.</summary>
    private static readonly Dictionary<string, (string From, string To)[]> NotDone = new(StringComparer.Ordinal)
    {
        ["OrtCpr.Graph"] =
        [
            ("Operators", "Gradients"),
        ],
        ["OrtCpr"] =
        [
            ("Driver", "OrtTraining"),
        ],
        ["OrtCpr.Vision"] = [],
        ["OrtCpr.Tables"] = [],
    };

    private static readonly ConcurrentDictionary<string, HashSet<(string From, string To)>> Arrows = new(StringComparer.Ordinal);

    [TestMethod]
    [DataRow("OrtCpr.Graph")]
    [DataRow("OrtCpr")]
    [DataRow("OrtCpr.Vision")]
    [DataRow("OrtCpr.Tables")]
    public void Folders_UseEachOtherInOneDirection(string project)
    {
        var arrows = ArrowsOf(project).Except(NotDone[project]).ToHashSet();
        string[] cycles = [.. arrows.Select(a => a.From).Distinct().Order(StringComparer.Ordinal)
            .Select(folder => Cycle(arrows, [folder])).OfType<string>()];
        Assert.IsEmpty(cycles, string.Join('\n', cycles));
    }

    [TestMethod]
    [DataRow("OrtCpr.Graph")]
    [DataRow("OrtCpr")]
    public void Exceptions_AreArrowsThatThereAre(string project)
    {
        (string, string)[] gone = [.. NotDone[project].Where(a => !ArrowsOf(project).Contains(a))];
        Assert.IsEmpty(gone, $"Take these out of the list of exceptions: {string.Join(", ", gone)}");
    }

    [TestMethod]
    [DataRow("OrtCpr.Graph", "TrainingGraphBuilder.cs TrainingOptions.cs")]
    [DataRow("OrtCpr", "")]
    [DataRow("OrtCpr.Vision", "")]
    [DataRow("OrtCpr.Tables", "")]
    [DataRow("OrtCpr.Benchmarks", "Program.cs")]
    public void NothingLiesLoose_ButTheEntryPoints(string project, string expected) =>
        Assert.AreEqual(expected,
            string.Join(' ', Repository.Sources(project).Where(s => Folder(s.Path) is null).Select(s => Path.GetFileName(s.Path))));

    [TestMethod]
    public void NoFolderCallsTheRecipe_ButTheOneThatReadsArtifacts()
    {
        string[] calls = [.. Repository.Sources("OrtCpr.Graph")
            .Where(s => Folder(s.Path) is string folder
                && folder is "Ir" or "Passes" or "Gradients" or "Operators" or "Losses" or "Parameters")
            .Where(s => Names().Matches(Code(s.Lines)).Any(m => m.Value == "TrainingGraphBuilder")).Select(s => s.Path)];
        Assert.IsEmpty(calls, string.Join('\n', calls));
    }

    /// <summary>A way from the last folder back to the first, or null.</summary>
    private static string? Cycle(HashSet<(string From, string To)> arrows, string[] way)
    {
        foreach (string next in arrows.Where(a => a.From == way[^1]).Select(a => a.To).Order(StringComparer.Ordinal))
        {
            if (next == way[0]) return string.Join(" → ", [.. way, next]);
            if (!way.Contains(next) && Cycle(arrows, [.. way, next]) is string found) return found;
        }
        return null;
    }

    private static HashSet<(string From, string To)> ArrowsOf(string project) => Arrows.GetOrAdd(project, Draw);

    /// <summary>An arrow from one folder to another whose type it names. Error types are everybody's, and so is what lies in
    /// no folder; a name that two folders declare tells nothing.</summary>
    private static HashSet<(string From, string To)> Draw(string project)
    {
        var sources = Repository.Sources(project).Select(s => (Folder: Folder(s.Path), Code: Code(s.Lines)))
            .Where(s => s.Folder is not null).ToList();
        Dictionary<string, string> declaredIn = sources
            .SelectMany(s => Declarations().Matches(s.Code).Select(m => (Type: m.Groups[1].Value, Folder: s.Folder!)))
            .Where(d => !d.Type.EndsWith("Exception", StringComparison.Ordinal))
            .Distinct().GroupBy(d => d.Type, StringComparer.Ordinal).Where(g => g.Count() == 1)
            .ToDictionary(g => g.Key, g => g.First().Folder, StringComparer.Ordinal);
        var arrows = new HashSet<(string, string)>();
        foreach ((string? folder, string code) in sources)
        {
            foreach (Match name in Names().Matches(code))
            {
                if (declaredIn.TryGetValue(name.Value, out string? other) && other != folder) arrows.Add((folder!, other));
            }
        }
        return arrows;
    }

    /// <summary>The folder below the project; null for files in none.</summary>
    private static string? Folder(string path) => path.Split('/') is { Length: > 2 } parts ? parts[1] : null;

    /// <summary>The text without comments and strings.</summary>
    private static string Code(string[] lines) => string.Join('\n', lines.Select(line => CommentsAndStrings().Replace(line, "\"\"")));

    [GeneratedRegex("""("(?:\\.|[^"\\])*")|//.*$""")]
    private static partial Regex CommentsAndStrings();

    [GeneratedRegex(@"^(?:(?:public|internal|static|sealed|abstract|readonly|partial|unsafe) )*"
        + @"(?:class|record struct|record|struct|enum|interface|delegate [\w\?\[\]<>, \(\)]+?) (\w+)", RegexOptions.Multiline)]
    private static partial Regex Declarations();

    /// <summary>A name that does not follow a point, since members are called like types of other folders. Neither are declarations of
    /// methods and enum members names of types.</summary>
    [GeneratedRegex(@"(?<![\w.])(?:(?<=\bnew )|(?<![\w>\]?] )|(?![A-Z]\w+\())(?!(?<=^ +)[A-Z]\w+,\r?$)[A-Z]\w+", RegexOptions.Multiline)]
    private static partial Regex Names();
}
