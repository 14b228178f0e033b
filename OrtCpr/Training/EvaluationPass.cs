using OrtCpr.Graph;
using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>One evaluation: loss and metrics, batch by batch.</summary>
/// <param name="plan">Whose evaluation graph it is.</param>
/// <param name="evaluate">Computes loss and outputs of a batch.</param>
/// <param name="metrics">Figures beside the loss.</param>
internal sealed class EvaluationPass(TrainingPlan plan, Func<Batch, IReadOnlyList<string>, Evaluation> evaluate,
    IReadOnlyList<Metric> metrics)
{
    private readonly (string Name, MetricSum Sum)[] _sums = [.. metrics.Select(m => (m.Name, m.Start()))];
    private readonly string[] _outputs = [.. metrics.SelectMany(m => m.Outputs).Select(o => o ?? plan.ModelOutputs[0]).Distinct()];
    private WeightedMean _loss;

    public EvaluationPass(TrainingDriver driver, IReadOnlyList<Metric> metrics)
        : this(driver.Plan, (batch, outputs) => driver.EvalStep(batch, outputs), metrics)
    {
    }

    public void Take(Batch batch)
    {
        using Evaluation evaluation = evaluate(batch, _outputs);
        _loss.Add(evaluation.Loss, batch.Rows);
        var seen = new MetricBatch(plan, batch, evaluation);
        foreach ((_, MetricSum sum) in _sums) sum.Add(seen);
    }

    public EvaluationReport Report(long epoch = -1, long step = 0, TimeSpan elapsed = default) => new()
    {
        Epoch = epoch,
        Step = step,
        Loss = _loss.Value,
        Metrics = _sums.ToDictionary(s => s.Name, s => s.Sum.Value, StringComparer.Ordinal),
        Elapsed = elapsed,
    };
}
