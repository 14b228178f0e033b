using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>Class labels of a batch. On the CPU the graph stops at labels beyond the classes, and this tells which they are; on other
/// devices gathering may read anything, and they are refused before.</summary>
internal static class LabelCheck
{
    private const int MostListed = 5;

    /// <summary>Labels outside of the classes that are not the ignored one, as a sentence; null for none.</summary>
    public static string? Problem(Batch batch, IReadOnlyList<LossTerm> terms)
    {
        foreach (LossTerm term in terms)
        {
            if (term.IgnoredLabel is not long ignored || term.Labels is not [string name, ..]
                || !batch.Tensors.TryGetValue(name, out OrtValue? value) || !Device.IsOnHost(value))
            {
                continue;
            }
            ReadOnlySpan<long> labels = value.GetTensorDataAsSpan<long>();
            // Where only the batch tells how many classes there are, the graph stops at labels that are too high.
            ulong classes = (ulong)(term.Classes ?? long.MaxValue);
            var wrong = new List<string>();
            for (int i = 0; i < labels.Length && wrong.Count < MostListed; i++)
            {
                if ((ulong)labels[i] >= classes && labels[i] != ignored) wrong.Add($"{labels[i]} at position {i}");
            }
            if (wrong.Count == 0) continue;
            string highest = term.Classes is long n ? $"{n - 1}" : "the number of classes less 1";
            return $"Labels '{name}' of {term.Name} must be 0 to {highest}, or {ignored} for rows "
                + $"that do not count; found {string.Join(", ", wrong)}{(wrong.Count == MostListed ? " …" : "")}. Number the classes from "
                + "0, or name another ignored label (IgnoreIndex).";
        }
        return null;
    }

}
