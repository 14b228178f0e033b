using OrtCpr.Graph;
using OrtCpr.Metrics;

namespace OrtCpr;

/// <summary>One evaluation: loss and metrics, batch by batch.</summary>
internal sealed class EvaluationPass
{
    private readonly Func<Batch, IReadOnlyList<string>, Evaluation> _evaluate;
    private readonly (string Name, MetricSource Source, MetricSum Sum)[] _sums;
    private readonly string[] _outputs;
    private readonly LossSum _loss;

    /// <param name="plan">Whose evaluation graph it is.</param>
    /// <param name="evaluate">Computes loss and outputs of a batch.</param>
    /// <param name="metrics">Figures beside the loss.</param>
    /// <exception cref="DriverException">A metric reads what the model does not have, or what does not fit it.</exception>
    public EvaluationPass(TrainingPlan plan, Func<Batch, IReadOnlyList<string>, Evaluation> evaluate, IReadOnlyList<Metric> metrics)
    {
        _evaluate = evaluate;
        _loss = new LossSum(plan.LossTerms);
        _sums = [.. metrics.Select(m => (m.Name, MetricSource.Of(plan, m), m.Start()))];
        _outputs = [.. _sums.SelectMany(s => s.Source.Outputs).Distinct()];
    }

    public EvaluationPass(TrainingDriver driver, IReadOnlyList<Metric> metrics)
        : this(driver.Plan, (batch, outputs) => driver.EvalStep(batch, outputs), metrics)
    {
    }

    public void Take(Batch batch)
    {
        using Evaluation evaluation = _evaluate(batch, _outputs);
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
        Confusion = _sums.Select(s => s.Sum).OfType<ConfusionMetric.ConfusionSum>().FirstOrDefault()?.Matrix,
    };
}
