using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace OrtCpr.Metrics;

/// <summary>How often each class was taken for each other in an evaluation, and what follows from that.</summary>
/// <remarks>Figures without a denominator are 0, and means over classes leave out those that neither occurred nor were found, as
/// scikit-learn has it.</remarks>
public sealed class ConfusionMatrix
{
    private readonly long[] _counts;

    /// <summary>A matrix of counts.</summary>
    /// <param name="counts">[classes, classes], a row for each true class, a column for each found one.</param>
    /// <param name="classNames">What the classes are called; empty for their numbers.</param>
    /// <exception cref="ArgumentException">The counts are no square, or the names are not as many.</exception>
    public ConfusionMatrix(long[,] counts, IReadOnlyList<string>? classNames = null)
    {
        ArgumentNullException.ThrowIfNull(counts);
        Classes = counts.GetLength(0);
        if (counts.GetLength(1) != Classes)
            throw new ArgumentException($"The counts are [{Classes}, {counts.GetLength(1)}]; expected a square.", nameof(counts));
        if (classNames is { Count: > 0 } && classNames.Count != Classes)
            throw new ArgumentException($"There are {classNames.Count} names for {Classes} classes.", nameof(classNames));
        _counts = [.. counts.Cast<long>()];
        ClassNames = classNames is { Count: > 0 } ? [.. classNames]
            : [.. Enumerable.Range(0, Classes).Select(c => c.ToString(CultureInfo.InvariantCulture))];
    }

    /// <summary>How many classes there are.</summary>
    public int Classes { get; }

    /// <summary>What they are called.</summary>
    public ImmutableArray<string> ClassNames { get; }

    /// <summary>The same with names for the classes.</summary>
    /// <param name="classNames">As many as there are classes.</param>
    /// <exception cref="ArgumentException">There are more or fewer.</exception>
    public ConfusionMatrix Named(IReadOnlyList<string> classNames)
    {
        ArgumentNullException.ThrowIfNull(classNames);
        long[,] counts = new long[Classes, Classes];
        for (int i = 0; i < _counts.Length; i++) counts[i / Classes, i % Classes] = _counts[i];
        return new ConfusionMatrix(counts, classNames);
    }

    /// <summary>Rows of a true class that were found to be of a class.</summary>
    /// <param name="truth">The true class.</param>
    /// <param name="found">The class with the highest score.</param>
    public long this[int truth, int found] => _counts[(Checked(truth) * Classes) + Checked(found)];

    /// <summary>All rows that counted.</summary>
    public long Count => _counts.Sum();

    /// <summary>Share of rows that were found to be of their class; NaN without any.</summary>
    public double Accuracy => Enumerable.Range(0, Classes).Sum(c => this[c, c]) / (double)Count;

    /// <summary>Rows of a true class.</summary>
    /// <param name="truth">From 0, below <see cref="Classes"/>.</param>
    public long Support(int truth) => Enumerable.Range(0, Classes).Sum(c => this[truth, c]);

    /// <summary>Of the rows that were found to be of a class, the share that is of it.</summary>
    /// <param name="found">From 0, below <see cref="Classes"/>.</param>
    public double Precision(int found) => Share(this[found, found], Found(found));

    /// <summary>Of the rows of a class, the share that was found.</summary>
    /// <param name="truth">From 0, below <see cref="Classes"/>.</param>
    public double Recall(int truth) => Share(this[truth, truth], Support(truth));

    /// <summary>2·precision·recall / (precision + recall) of a class.</summary>
    /// <param name="of">From 0, below <see cref="Classes"/>.</param>
    public double F1(int of) => Share(2 * this[of, of], Found(of) + Support(of));

    /// <summary>Mean of a figure over the classes that occurred or were found; NaN without any.</summary>
    /// <param name="figure">Of a class, such as <see cref="F1"/>.</param>
    public double Mean(Func<int, double> figure)
    {
        ArgumentNullException.ThrowIfNull(figure);
        int[] seen = [.. Enumerable.Range(0, Classes).Where(c => Support(c) + Found(c) > 0)];
        return seen.Length == 0 ? double.NaN : seen.Average(figure);
    }

    /// <summary>The pairs of classes that were taken for each other most often, the most frequent first.</summary>
    /// <param name="most">How many, at least 0.</param>
    public IReadOnlyList<(int Truth, int Found, long Count)> Mistakes(int most) =>
        [.. (from truth in Enumerable.Range(0, Classes)
             from found in Enumerable.Range(0, Classes)
             where truth != found && this[truth, found] > 0
             orderby this[truth, found] descending, truth, found
             select (truth, found, this[truth, found])).Take(most)];

    /// <summary>A table of precision, recall, F1 and support by class, and their means.</summary>
    public override string ToString()
    {
        int width = Math.Max(7, ClassNames.Select(n => n.Length).DefaultIfEmpty(0).Max());
        var text = new StringBuilder();
        void Line(string name, double precision, double recall, double f1, long support) => text.AppendLine(
            string.Create(
            CultureInfo.InvariantCulture, $"{name.PadRight(width)}  {precision,9:F4}  {recall,9:F4}  {f1,9:F4}  {support,9}"));
        text.AppendLine(CultureInfo.InvariantCulture, $"{"class".PadRight(width)}  precision     recall         F1    support");
        for (int c = 0; c < Classes; c++)
        {
            if (Support(c) + Found(c) > 0) Line(ClassNames[c], Precision(c), Recall(c), F1(c), Support(c));
        }
        Line("mean", Mean(Precision), Mean(Recall), Mean(F1), Count);
        return text.ToString();
    }

    private long Found(int found) => Enumerable.Range(0, Classes).Sum(c => this[c, found]);

    private static double Share(double part, double whole) => whole == 0 ? 0 : part / whole;

    private int Checked(int of) => of >= 0 && of < Classes ? of
        : throw new ArgumentOutOfRangeException(nameof(of), of, $"There are {Classes} classes.");
}
