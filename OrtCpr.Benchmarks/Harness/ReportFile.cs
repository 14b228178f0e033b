using System.Text;

namespace OrtCpr.Benchmarks.Harness;

/// <summary><c>docs/benchmarks.md</c>: one section <c>## name</c> a benchmark, replaced as a whole.</summary>
internal static class ReportFile
{
    private const string Head =
        """
        # Benchmarks

        Written by `OrtCpr.Benchmarks`; a run replaces the sections of the benchmarks it was asked for. Both sides run in one
        process and take turns, warm, but for `memory` and `cold`, which use processes of their own; the times are medians.
        What has to be reached is in the line that closes each goal.
        """;

    /// <summary>The file in the repository that the current folder or the program lies in; null when there is none.</summary>
    public static string? Find()
    {
        foreach (string start in new[] { Directory.GetCurrentDirectory(), AppContext.BaseDirectory })
        {
            for (DirectoryInfo? folder = new(start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "OrtCpr.sln")))
                    return Path.Combine(folder.FullName, "docs", "benchmarks.md");
            }
        }
        return null;
    }

    public static void Replace(string path, string section, string body)
    {
        List<(string Name, string Body)> sections = File.Exists(path) ? Sections(File.ReadAllText(path)) : [];
        int place = sections.FindIndex(s => s.Name == section);
        if (place < 0)
            sections.Add((section, body));
        else
            sections[place] = (section, body);
        StringBuilder text = new(Head);
        foreach ((string name, string content) in sections.OrderBy(s => s.Name, StringComparer.Ordinal))
            text.Append("\n\n## ").Append(name).Append("\n\n").Append(content);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text.Append('\n').ToString());
    }

    private static List<(string Name, string Body)> Sections(string text)
    {
        string[] parts = text.Replace("\r\n", "\n", StringComparison.Ordinal).Split("\n## ");
        return [.. parts.Skip(1).Select(part => part.Split('\n', 2)).Select(p => (p[0].Trim(), p.Length > 1 ? p[1].Trim() : ""))];
    }
}
