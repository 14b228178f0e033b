namespace OrtCpr.Graph.Losses;

/// <summary>Names that somebody may have meant.</summary>
internal static class NearNames
{
    private const int MostNames = 5;

    /// <summary>A sentence with the names that are like the given one; empty where none is.</summary>
    public static string Text(string name, IEnumerable<string> names)
    {
        string[] near = [.. names.Select(n => (Name: n, Distance: Distance(name, n)))
            .Where(n => n.Distance <= Math.Max(1, name.Length / 3) || IsPart(name, n.Name))
            .OrderBy(n => n.Distance).ThenBy(n => n.Name, StringComparer.Ordinal).Take(MostNames).Select(n => $"'{n.Name}'")];
        return near.Length == 0 ? "" : $" Names like it: {string.Join(", ", near)}.";
    }

    private static bool IsPart(string name, string other) => name.Length > 2 && other.Contains(name, StringComparison.OrdinalIgnoreCase);

    /// <summary>Letters to add, drop or change.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int corner = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int changed = corner + (char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1);
                corner = row[j];
                row[j] = Math.Min(changed, 1 + Math.Min(row[j], row[j - 1]));
            }
        }
        return row[b.Length];
    }
}
