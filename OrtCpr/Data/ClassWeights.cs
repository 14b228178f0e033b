using System.Collections.Immutable;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Weights of classes for a loss (<see cref="Graph.Losses.ClassLoss.ClassWeights"/>), from how often each class comes in a source.
/// Take the source that is trained on, not one that holds back examples for validation.</summary>
public static class ClassWeights
{
    /// <summary>examples / (classes · examples of the class): classes weigh as much as each other over an epoch, and the mean over the
    /// examples is 1. That is scikit-learn's <c>balanced</c>.</summary>
    /// <param name="source">Its labels are read.</param>
    /// <param name="classes">How many there are; null for as many as the labels have names, or else for the highest label and 1.</param>
    /// <param name="label">Column with the classes; null for the only label of whole numbers.</param>
    /// <exception cref="OptionException">It is not plain which column has the classes, or a label is none of them.</exception>
    /// <exception cref="DataFileException">A class has no example, so that it has no weight; all such classes are named.</exception>
    public static ImmutableArray<float> InverseFrequency(DataSource source, int? classes = null, string? label = null)
    {
        long[] counts = Counts(source, classes, label);
        double all = counts.Sum();
        return [.. counts.Select(n => (float)(all / (counts.Length * (double)n)))];
    }

    /// <summary>(1 − β) / (1 − βⁿ) for a class of n examples, scaled so that the mean over the classes is 1 (Cui et al., CVPR 2019,
    /// Class-Balanced Loss Based on Effective Number of Samples).</summary>
    /// <param name="source">Its labels are read.</param>
    /// <param name="beta">β, from 0 (all weigh the same) to below 1 (towards 1 the inverse frequency). Default 0.999.</param>
    /// <param name="classes">As in <see cref="InverseFrequency"/>.</param>
    /// <param name="label">As in <see cref="InverseFrequency"/>.</param>
    /// <exception cref="OptionException">β is out of range, it is not plain which column has the classes, or a label is none of
    /// them.</exception>
    /// <exception cref="DataFileException">A class has no example; all such classes are named.</exception>
    public static ImmutableArray<float> EffectiveNumber(DataSource source, double beta = 0.999, int? classes = null, string? label = null)
    {
        if (!(beta is >= 0 and < 1))
        {
            throw new OptionException(FormattableString.Invariant(
                $"{nameof(ClassWeights)}.{nameof(EffectiveNumber)}: {nameof(beta)} is {beta}; expected at least 0 and below 1."));
        }
        double[] weights = [.. Counts(source, classes, label).Select(n => (1 - beta) / (1 - Math.Pow(beta, n)))];
        double mean = weights.Average();
        return [.. weights.Select(w => (float)(w / mean))];
    }

    private static long[] Counts(DataSource source, int? classes, string? label)
    {
        var labels = ClassLabels.Of(source, label);
        long highest = labels.ByClass.Length == 0 ? -1 : labels.ByClass[^1].Class, lowest = labels.ByClass.Length == 0 ? 0
            : labels.ByClass[0].Class;
        long count = classes ?? Math.Max(labels.Column.ClassNames.Length, highest + 1);
        if (lowest < 0 || highest >= count || count is < 1 or > 1 << 24)
        {
            throw new OptionException($"Labels of column {labels.Column} go from {lowest} to {highest}; expected 0 to {count - 1} for "
                + $"{count} classes. Number the classes from 0.");
        }
        long[] counts = new long[count];
        foreach ((long index, IReadOnlyList<int> rows) in labels.ByClass) counts[index] = rows.Count;
        string[] empty = [.. Enumerable.Range(0, counts.Length).Where(i => counts[i] == 0).Take(20)
            .Select(i => i < labels.Column.ClassNames.Length ? $"'{labels.Column.ClassNames[i]}'" : $"{i}")];
        return empty.Length == 0 ? counts : throw new DataFileException(
            $"Column {labels.Column} has no example of class {string.Join(", ", empty)}, and what never comes has no weight. Add examples, "
            + "or leave the class out.");
    }
}
