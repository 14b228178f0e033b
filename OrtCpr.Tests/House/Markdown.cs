using System.Text;
using System.Text.RegularExpressions;

namespace OrtCpr.Tests.House;

/// <summary>A fenced block of a document.</summary>
/// <param name="Document">Path relative to the root, with forward slashes.</param>
/// <param name="Line">Line of its first line of text, counted from 1.</param>
/// <param name="Language">What stands behind the fence; empty for nothing.</param>
/// <param name="Text">The lines between the fences.</param>
/// <param name="Assumed">What a comment <c>&lt;!-- assumes: … --&gt;</c> in the line before the fence declares; empty without one.</param>
internal sealed record FencedBlock(string Document, int Line, string Language, string Text, string Assumed);

/// <summary>A document as its reader sees it: blocks, code within lines, links, headings.</summary>
internal sealed partial class Markdown
{
    private readonly List<FencedBlock> _blocks = [];
    private readonly List<(int Line, string Text)> _prose = [];

    private Markdown(string path)
    {
        Path = path;
        string[] lines = File.ReadAllLines(System.IO.Path.Combine(Repository.Root, path));
        int fence = -1;
        for (int i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith("```", StringComparison.Ordinal))
            {
                if (fence < 0) _prose.Add((i + 1, lines[i]));
                continue;
            }
            if (fence < 0)
            {
                fence = i;
                continue;
            }
            string assumed = fence > 0 ? Assumption().Match(lines[fence - 1]).Groups[1].Value : "";
            _blocks.Add(new FencedBlock(path, fence + 2, lines[fence][3..].Trim(), string.Join('\n', lines[(fence + 1)..i]), assumed));
            fence = -1;
        }
        Assert.IsLessThan(0, fence, $"{path}: the block that begins at line {fence + 1} has no end.");
    }

    /// <summary>Path relative to the root, with forward slashes.</summary>
    public string Path { get; }

    public IReadOnlyList<FencedBlock> Blocks => _blocks;

    /// <summary>Code within a line of prose.</summary>
    public IEnumerable<(int Line, string Text)> Spans =>
        _prose.SelectMany(p => CodeSpan().Matches(p.Text).Select(m => (p.Line, m.Groups[1].Value)));

    /// <summary>Targets of links and pictures.</summary>
    public IEnumerable<(int Line, string Target)> Links =>
        _prose.SelectMany(p => Link().Matches(CodeSpan().Replace(p.Text, "")).Select(m => (p.Line, m.Groups[1].Value)));

    /// <summary>What the part of a link behind # may be.</summary>
    public IReadOnlySet<string> Anchors => _prose.Where(p => p.Text.StartsWith('#')).Select(p => Anchor(p.Text)).ToHashSet();

    /// <summary>The documents of the repository: those beside the solution, of docs, and of projects, samples and checks.</summary>
    public static IReadOnlyList<Markdown> All { get; } =
    [
        .. Directory.EnumerateFiles(Repository.Root, "*.md", SearchOption.AllDirectories)
            .Select(f => System.IO.Path.GetRelativePath(Repository.Root, f).Replace('\\', '/'))
            .Where(f => !f.Split('/').Any(part => part is "bin" or "obj" or "node_modules" || part.StartsWith('.')))
            .Order(StringComparer.Ordinal).Select(f => new Markdown(f)),
    ];

    /// <summary>The words of a command as a shell takes them apart: quotes hold words together.</summary>
    public static string[] Words(string command)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        char quote = '\0';
        bool isWord = false;
        foreach (char c in command + " ")
        {
            if (quote == '\0' && c is '\'' or '"')
            {
                (quote, isWord) = (c, true);
            }
            else if (c == quote)
            {
                quote = '\0';
            }
            else if (quote == '\0' && char.IsWhiteSpace(c))
            {
                if (isWord) words.Add(word.ToString());
                word.Clear();
                isWord = false;
            }
            else
            {
                word.Append(c);
                isWord = true;
            }
        }
        return [.. words];
    }

    // As GitHub makes them: letters, digits and dashes, spaces as dashes.
    private static string Anchor(string heading) => string.Concat(heading.TrimStart('#').Trim().ToLowerInvariant()
        .Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_').Select(c => c == ' ' ? '-' : c));

    [GeneratedRegex(@"<!--\s*assumes:\s*(.*?)\s*-->")]
    private static partial Regex Assumption();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex CodeSpan();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
