using System.Globalization;

namespace WakeWord;

// How well scores tell words from other sounds.
internal sealed record Detection(double Auc, double Recall, double Threshold, double Allowed)
{
    // The area is the share of pairs of a word and another sound in which the word has the higher score, half of it for equals. The
    // threshold is the least that lets no more than the allowed share of the other sounds through.
    public static Detection Of(IReadOnlyList<(double Score, bool IsWord)> scores, double allowed)
    {
        double[] words = [.. scores.Where(s => s.IsWord).Select(s => s.Score)];
        double[] others = [.. scores.Where(s => !s.IsWord).Select(s => s.Score).OrderDescending()];
        double area = words.Average(w => others.Average(o => w > o ? 1.0 : w == o ? 0.5 : 0));
        double threshold = others[Math.Min(others.Length - 1, (int)(allowed * others.Length))];
        return new(area, words.Average(w => w > threshold ? 1.0 : 0), threshold, allowed);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"ROC AUC {Auc:F4}, recall {Recall:P1} at {Allowed:P1} false accepts (score above {Threshold:F3})");
}
