using OrtCpr.Graph;

namespace OrtCpr.Metrics;

/// <summary>A figure over the batches of an evaluation, beside the loss. Immutable: what adds up is in <see cref="MetricSum"/>.</summary>
public abstract class Metric
{
    /// <summary>Name in reports, logs and <c>Monitor</c> options.</summary>
    public abstract string Name { get; }

    /// <summary>Whether a higher value is a better one. Default true.</summary>
    public virtual bool HigherIsBetter => true;

    /// <summary>Model outputs that it reads; null stands for the one that the loss takes. Default: that one.</summary>
    public virtual IReadOnlyList<string?> Outputs => [null];

    /// <summary>What it compares: of a sum of losses it reads the first term of that kind.</summary>
    internal virtual MetricKind Kind => MetricKind.Any;

    /// <summary>What does not fit, as far as that is known before the first batch; null for nothing.</summary>
    internal virtual string? Problem(MetricSource source) => null;

    /// <summary>Begins an evaluation.</summary>
    public abstract MetricSum Start();

    /// <summary>Share of rows whose label is among the classes with the highest scores: <c>accuracy</c>, or <c>top5</c>
    /// and the like.</summary>
    /// <remarks>Scores and labels as <see cref="Graph.Losses.CrossEntropyLoss"/> takes them: [B, C], [B, T, C] or
    /// [B, C, …] with Int64 labels of that shape without the class axis. Of equal scores the lower class counts as the
    /// higher, as argmax has it; NaN counts as the lowest. Where the loss takes a probability for each class, as
    /// <see cref="Graph.Losses.SoftCrossEntropyLoss"/> does, the label [B, C] stands for its likeliest class.</remarks>
    /// <param name="top">How many of the highest scores may hold the label, at least 1. Default 1.</param>
    /// <param name="output">Model output with the scores; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    /// <param name="ignoreIndex">Rows with this label do not count; null for the label that the loss ignores, or -100.
    /// Default null.</param>
    /// <exception cref="OptionException"><paramref name="top"/> is below 1.</exception>
    public static Metric Accuracy(int top = 1, string? output = null, string? label = null, long? ignoreIndex = null) =>
        new Accuracy(top, output, label, ignoreIndex);

    /// <summary><c>perplexity</c>: e to the power of the mean loss, for a cross-entropy in nats. Lower is better.</summary>
    public static Metric Perplexity() => new Perplexity();

    /// <summary><c>mse</c>: mean of the squared differences between a model output and a label of the same shape. Lower
    /// is better.</summary>
    /// <param name="output">Model output; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    public static Metric MeanSquaredError(string? output = null, string? label = null) =>
        new MeanDifference("mse", d => d * d, output, label);

    /// <summary><c>mae</c>: mean of the absolute differences between a model output and a label of the same shape. Lower is
    /// better.</summary>
    /// <param name="output">Model output; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    public static Metric MeanAbsoluteError(string? output = null, string? label = null) =>
        new MeanDifference("mae", Math.Abs, output, label);

    /// <summary><c>r2</c>: the share of the variance of a label that a model output of the same shape explains, at most 1, over all
    /// elements. Without any variance it is 1 where all is met and else 0, as scikit-learn has it.</summary>
    /// <param name="output">Model output; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    public static Metric R2(string? output = null, string? label = null) => new ExplainedVariance(output, label);

    /// <summary><c>precision</c>: of the rows that were found to be of a class, the share that is of it. Scores and labels as <see
    /// cref="Accuracy"/> takes them; the evaluation has the <see cref="ConfusionMatrix"/> too.</summary>
    /// <param name="of">The class; null for the mean over the classes that occurred or were found. Default null.</param>
    /// <param name="output">Model output with the scores; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    public static Metric Precision(int? of = null, string? output = null, string? label = null) =>
        new ConfusionMetric("precision", (m, c) => m.Precision(c), of, output, label);

    /// <summary><c>recall</c>: of the rows of a class, the share that was found; its mean is the balanced accuracy.</summary>
    /// <param name="of">The class; null for the mean over the classes that occurred or were found. Default null.</param>
    /// <param name="output">Model output with the scores; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    public static Metric Recall(int? of = null, string? output = null, string? label = null) =>
        new ConfusionMetric("recall", (m, c) => m.Recall(c), of, output, label);

    /// <summary><c>f1</c>: the harmonic mean of <see cref="Precision"/> and <see cref="Recall"/>.</summary>
    /// <param name="of">The class; null for the mean over the classes that occurred or were found. Default null.</param>
    /// <param name="output">Model output with the scores; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    public static Metric F1(int? of = null, string? output = null, string? label = null) =>
        new ConfusionMetric("f1", (m, c) => m.F1(c), of, output, label);

    /// <summary><c>auc</c>: area under the receiver operating characteristic, from 0 to 1. The scores are logits or logarithms of
    /// probabilities, and of a binary cross-entropy what it takes, each element a row. Holds a number a row and class until the evaluation
    /// ends.</summary>
    /// <param name="of">The class that is told from all others; null for class 1 of two, and of more for the mean over all
    /// that have rows of both sides. Default null.</param>
    /// <param name="output">Model output with the scores; null for the one that the loss takes. Default null.</param>
    /// <param name="label">Label to compare with; null for the one that goes with the output. Default null.</param>
    public static Metric RocAuc(int? of = null, string? output = null, string? label = null) => new RocAuc(of, output, label);

    /// <summary>A metric of one's own: a sum and its weight for each batch; the value is Σ sum / Σ weight.</summary>
    /// <param name="name">Name in reports.</param>
    /// <param name="measure">Sum and weight of one batch.</param>
    /// <param name="higherIsBetter">Whether a higher value is a better one.</param>
    /// <param name="outputs">Model outputs that it reads; null or nothing for the one that the loss takes.</param>
    public static Metric Create(string name, Func<MetricBatch, (double Sum, double Weight)> measure, bool higherIsBetter = true,
        params IReadOnlyList<string?> outputs)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(measure);
        return new Mean(name, higherIsBetter, outputs is null or [] ? [null] : outputs, measure);
    }

    private sealed class Mean(string name, bool higherIsBetter, IReadOnlyList<string?> outputs,
        Func<MetricBatch, (double Sum, double Weight)> measure) : Metric
    {
        public override string Name => name;

        public override bool HigherIsBetter => higherIsBetter;

        public override IReadOnlyList<string?> Outputs => outputs;

        public override MetricSum Start() => new WeightedSum(measure);
    }
}

/// <summary>What a metric has seen of one evaluation.</summary>
public abstract class MetricSum
{
    /// <summary>Takes a batch in.</summary>
    /// <param name="batch">Valid during the call only: what is kept of it is to be copied.</param>
    /// <exception cref="DriverException">Outputs and labels do not fit the metric.</exception>
    public abstract void Add(MetricBatch batch);

    /// <summary>The figure over all batches so far; NaN without any.</summary>
    public abstract double Value { get; }
}

/// <summary>Σ sum / Σ weight.</summary>
internal sealed class WeightedSum(Func<MetricBatch, (double Sum, double Weight)> measure, Func<double, double>? after = null) : MetricSum
{
    private double _sum, _weight;

    public override double Value => after is null ? _sum / _weight : after(_sum / _weight);

    public override void Add(MetricBatch batch)
    {
        (double sum, double weight) = measure(batch);
        _sum += sum;
        _weight += weight;
    }
}

/// <summary>One evaluated batch, as metrics see it: loss, model outputs and what the batch holds. Valid during the call only.</summary>
public sealed class MetricBatch
{
    private readonly Batch _batch;
    private readonly Evaluation _evaluation;
    private readonly MetricSource _source;

    internal MetricBatch(MetricSource source, Batch batch, Evaluation evaluation) =>
        (_source, _batch, _evaluation) = (source, batch, evaluation);

    /// <summary>The loss of the batch, as the job reduces it: a mean or a sum.</summary>
    public double Loss => _evaluation.Loss;

    /// <summary>First dimension of the batch: the number of examples, as a rule.</summary>
    public long Rows => _batch.Rows;

    /// <summary>What the loss of the batch counts in a mean over batches: what it divides by, such as the labels that count; the number of
    /// examples for sums.</summary>
    public double LossWeight => _source.Plan.WeightOfBatch(_evaluation.LossFigures, Rows);

    internal MetricSource Source => _source;

    /// <summary>A copy of a model output that the metric named.</summary>
    /// <param name="name">The output; null for the one that the loss takes, of a sum of losses that of the first.</param>
    /// <exception cref="DriverException">The metric has not named it in <see cref="Metric.Outputs"/>.</exception>
    public TensorData Output(string? name = null) => Devices.Device.ReadOnHost(_evaluation[_source.OutputName(name)]);

    /// <summary>A copy of a label or an input of the batch.</summary>
    /// <param name="name">Its name; null for the label that goes with the output of the loss.</param>
    /// <exception cref="DriverException">There is no such entry, or not exactly one label.</exception>
    public TensorData Label(string? name = null)
    {
        if (_source.LabelName(name) is not string label)
        {
            string[] labels = [.. _source.Plan.BatchInputs.Where(i => i.IsLabel).Select(i => i.Name)];
            throw new DriverException(
                $"The loss has {labels.Length} labels ({string.Join(", ", labels)}); name the one that the metric compares with.");
        }
        return _batch.Tensors.TryGetValue(label, out Microsoft.ML.OnnxRuntime.OrtValue? value)
            ? Devices.Device.ReadOnHost(value)
            : throw new DriverException($"The batch has no entry '{label}'; it has {string.Join(", ", _batch.Tensors.Keys)}.");
    }
}
