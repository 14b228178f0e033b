using System.Collections.Immutable;

namespace OrtCpr.Data;

/// <summary>Which columns of a table are features and which is the label.</summary>
internal static class ColumnChoice
{
    /// <summary>Finds columns by name.</summary>
    /// <param name="where">What errors begin with: the file, and the place where it has names.</param>
    /// <param name="header">Names in the order of the table.</param>
    /// <param name="features">The features in order; empty for all columns but the label.</param>
    /// <param name="categorical">Features that are categories; they must be there.</param>
    /// <param name="label">The label; null for none.</param>
    /// <returns>Positions of the features, and of the label: -1 for none.</returns>
    /// <exception cref="DataFileException">A name is missing or stands twice, or no column is left for features.</exception>
    public static (int[] Features, int Label) Find(string where, string[] header, ImmutableArray<string> features,
        ImmutableArray<string> categorical, string? label)
    {
        string[] wanted = [.. features, .. categorical, .. label is null ? [] : new[] { label }];
        string[] missing = [.. wanted.Distinct().Where(w => !header.Contains(w)).Select(w => $"'{w}'")];
        string[] twice = [.. wanted.Distinct().Where(w => header.Count(h => h == w) > 1).Select(w => $"'{w}'")];
        if (missing.Length > 0)
        {
            throw new DataFileException($"{where}: there is no column {string.Join(", ", missing)}; "
                + $"there are {string.Join(", ", header.Select(h => $"'{h}'"))}.");
        }
        if (twice.Length > 0)
            throw new DataFileException($"{where}: several columns are named {string.Join(", ", twice)}. Rename them.");
        int[] columns = features.Length > 0 ? [.. features.Select(f => Array.IndexOf(header, f))]
            : [.. Enumerable.Range(0, header.Length).Where(i => header[i] != label)];
        if (columns.Length == 0) throw new DataFileException($"{where}: no column is left for features.");
        return (columns, label is null ? -1 : Array.IndexOf(header, label));
    }
}
