using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Metrics;

/// <summary>What a metric compares.</summary>
internal enum MetricKind
{
    /// <summary>Anything.</summary>
    Any,

    /// <summary>Scores with classes.</summary>
    Classes,

    /// <summary>Numbers with numbers.</summary>
    Elements,
}

/// <summary>Where a metric takes its tensors from in a job: by default the output and the labels of the loss, of a sum those of the first
/// term that it can read.</summary>
internal sealed class MetricSource
{
    private readonly TrainingPlan _plan;
    private readonly LossTerm? _term;

    private MetricSource(TrainingPlan plan, Metric metric)
    {
        _plan = plan;
        string? named = metric.Outputs.OfType<string>().FirstOrDefault();
        LossTerm[] terms = [.. plan.LossTerms.Where(t => t.Output is not null && (named is null || t.Output == named))];
        _term = terms.FirstOrDefault(t => metric.Kind switch
        {
            MetricKind.Classes => t.IgnoredLabel is not null || t.YesFrom is not null,
            MetricKind.Elements => t.IgnoredLabel is null && t.Labels.Count > 0,
            _ => true,
        }) ?? terms.FirstOrDefault();
        Outputs = [.. metric.Outputs.Select(OutputName)];
    }

    /// <summary>Resolves a metric's names.</summary>
    /// <exception cref="DriverException">The job does not have them, or they do not fit the metric.</exception>
    public static MetricSource Of(TrainingPlan plan, Metric metric)
    {
        var source = new MetricSource(plan, metric);
        string[] known = [.. plan.ModelOutputs, plan.LossOutput, .. plan.LossTerms.Select(t => t.Output).OfType<string>()];
        string[] unknown = [.. source.Outputs.Where(o => !known.Contains(o)).Select(o => $"'{o}'")];
        if (unknown.Length > 0)
        {
            throw new DriverException(
                $"Metric '{metric.Name}' reads output {string.Join(", ", unknown)}, which the model does not have; it has "
                + $"{string.Join(", ", known.Distinct())}.");
        }
        if (metric.Problem(source) is string problem)
            throw new DriverException($"Metric '{metric.Name}' does not fit the model: {problem}.");
        return source;
    }

    /// <summary>Tensors of the evaluation graph that the metric reads.</summary>
    public IReadOnlyList<string> Outputs { get; }

    public TrainingPlan Plan => _plan;

    /// <summary>The axis of the classes where the loss has decided on one for this output.</summary>
    public int? ClassAxis(string? output) => _term?.Output == OutputName(output) ? _term?.ClassAxis : null;

    /// <summary>The label that does not count where the loss knows one.</summary>
    public long? IgnoredLabel => _term?.IgnoredLabel;

    /// <summary>Whether the labels are probabilities of classes.</summary>
    public bool HasProbabilities => _term?.TakesProbabilities == true;

    /// <summary>The score from which yes is the likelier answer, where the loss takes labels of yes or no for this output.</summary>
    public double? YesFrom(string? output) => _term?.Output == OutputName(output) ? _term?.YesFrom : null;

    /// <summary>The tensor that a metric means by a name, or by none.</summary>
    public string OutputName(string? name) => name ?? _term?.Output ?? _plan.ModelOutputs[0];

    /// <summary>Type and shape of it as far as the graph tells.</summary>
    public Value? Output(string? name) => _plan.EvaluationModel?.Graph.Outputs.FirstOrDefault(o => o.Name == OutputName(name));

    /// <summary>The batch input that a metric means by a name, or by none; null where that is not plain.</summary>
    public string? LabelName(string? name)
    {
        if (name is not null) return name;
        if (_term?.Labels is [string own]) return own;
        return _plan.BatchInputs.Where(i => i.IsLabel).Select(i => i.Name).ToArray() is [string only] ? only : null;
    }

    /// <summary>Type and shape of it; null where there is none.</summary>
    public BatchInput? Label(string? name) => _plan.BatchInputs.FirstOrDefault(i => i.Name == LabelName(name));
}
