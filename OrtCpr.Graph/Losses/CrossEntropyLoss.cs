using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Ir;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>Cross-entropy of class indices from logits (PyTorch <c>CrossEntropyLoss</c>).</summary>
/// <remarks>Logits [B,C], [B,T,V] (classes last) or [B,C,…] (classes second), see <see cref="ClassLoss.ClassAxis"/>; labels Int64 of the
/// logits' shape without the class axis. The mean divides by the summed class weights of the labels that count. Where the output is a
/// Softmax, LogSoftmax or Sigmoid of the model, the loss takes the tensor in front of it, with a warning; a loss of the probabilities is
/// <see cref="NllLoss"/>.</remarks>
public sealed record CrossEntropyLoss : ClassLoss
{
    /// <summary>Share of the target spread evenly over all classes, in [0, 1]. Default 0.</summary>
    public double LabelSmoothing { get; init; }

    private protected override bool TakesLogits => true;

    private protected override Term OfRows(GraphBuilder g, Term scores, Term labels) =>
        CrossEntropy.LossOfRows(g, scores, labels, (float)LabelSmoothing);

    private protected override Term Weighted(GraphBuilder g, ClassRows rows)
    {
        // Attributes of operators are float32, too coarse a share for other types.
        if (LabelSmoothing == 0 || (rows.ClassWeights is null && rows.Scores.Type == ElementType.Float)) return base.Weighted(g, rows);
        Term logits = rows.CountedScores(g), logProbability = g.LogSoftmax(logits, -1);
        Term loss = -(ClassIndices.Pick(g, logProbability, rows.Labels) * rows.Weight);
        Term spread = rows.ClassWeights is null ? logProbability : logProbability * rows.ClassWeights;
        Term smooth = -(g.ReduceSum(spread, false, -1) * g.Cast(rows.Counts, logits.Type));
        Term n = rows.Scores.Shape?[1].Known is long c ? g.Scalar(c, logits.Type)
            : g.Cast(g.Squeeze(g.DimOf(logits, 1), 0), logits.Type);
        return loss * (1 - LabelSmoothing) + smooth / n * LabelSmoothing;
    }

    internal override IEnumerable<string> Problems()
    {
        if (!(LabelSmoothing is >= 0 and <= 1)) yield return Invariant($"{nameof(LabelSmoothing)} is {LabelSmoothing}; expected 0 to 1");
        foreach (string problem in base.Problems()) yield return problem;
    }
}
