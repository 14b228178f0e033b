using System.Text.RegularExpressions;

namespace OrtCpr.CudaKernels;

/// <summary>PTX that is the same each time it is made: the compiler numbers parameters and labels through all that it has
/// compiled.</summary>
internal static partial class PtxText
{
    /// <summary>The text with numbers of its own, and without blanks at the ends of lines.</summary>
    public static string Settled(string ptx)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        string text = Numbered().Replace(ptx.ReplaceLineEndings("\n"), match =>
        {
            if (!names.TryGetValue(match.Value, out string? name))
                names[match.Value] = name = $"{match.Groups["kind"].Value}{names.Count + 1}";
            return name;
        });
        return string.Join('\n', text.TrimEnd().Split('\n').Select(line => line.TrimEnd())) + "\n";
    }

    // Labels (L_5381), parameters (_o_701) and names of functions' locals.
    [GeneratedRegex(@"\b(?<kind>L_|_[A-Za-z]\w*?_)\d+\b")]
    private static partial Regex Numbered();
}
