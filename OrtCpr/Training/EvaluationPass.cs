using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>One evaluation: loss and metrics, batch by batch.</summary>
internal sealed class EvaluationPass(TrainingDriver driver, IReadOnlyList<Metric> metrics)
{
    private readonly (string Name, MetricSum Sum)[] _sums = [.. metrics.Select(m => (m.Name, m.Start()))];
    private readonly string[] _outputs = [.. metrics.SelectMany(m => m.Outputs).Select(o => o ?? driver.Plan.ModelOutputs[0]).Distinct()];
    private WeightedMean _loss;

    public void Take(Batch batch)
    {
        using Evaluation evaluation = driver.EvalStep(batch, _outputs);
        _loss.Add(evaluation.Loss, batch.Rows);
        var seen = new MetricBatch(driver.Plan, batch, evaluation);
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
