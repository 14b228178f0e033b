using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>One evaluation: loss and metrics, batch by batch.</summary>
internal sealed class EvaluationPass
{
    private readonly TrainingDriver _driver;
    private readonly (string Name, MetricSource Source, MetricSum Sum)[] _sums;
    private readonly string[] _outputs;
    private readonly LossSum _loss;

    /// <exception cref="DriverException">A metric reads what the model does not have, or what does not fit it.</exception>
    public EvaluationPass(TrainingDriver driver, IReadOnlyList<Metric> metrics)
    {
        _driver = driver;
        _loss = new LossSum(driver.Plan.LossTerms);
        _sums = [.. metrics.Select(m => (m.Name, MetricSource.Of(driver.Plan, m), m.Start()))];
        _outputs = [.. _sums.SelectMany(s => s.Source.Outputs).Distinct()];
    }

    public void Take(Batch batch)
    {
        using Evaluation evaluation = _driver.EvalStep(batch, _outputs);
        _loss.Add(evaluation.Loss, evaluation.LossFigures, batch.Rows);
        foreach ((_, MetricSource source, MetricSum sum) in _sums) sum.Add(new MetricBatch(source, batch, evaluation));
    }

    public EvaluationReport Report(long epoch = -1, long step = 0, TimeSpan elapsed = default) => new()
    {
        Epoch = epoch,
        Step = step,
        Loss = _loss.Value,
        Metrics = _sums.ToDictionary(s => s.Name, s => s.Sum.Value, StringComparer.Ordinal),
        Elapsed = elapsed,
        LossTerms = _loss.Terms,
    };
}
