using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using OrtCpr;
using OrtCpr.Metrics;
using Samples;

namespace Grokking;

/// <summary>What this experiment adds to a fit: the figures of both sets and λ, κ and R in the journal, and the end of a run that has
/// generalised.</summary>
internal sealed class RunLog(Settings settings, Recipe recipe, long seed, Journal journal, BatchSource training,
    long batches) : TrainerCallback
{
    private const string SecondsKey = "seconds";

    private static readonly JsonSerializerOptions Names = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    private double _seconds;
    private long _mark;

    /// <summary>The milestones of the run so far.</summary>
    public Milestones Milestones => Milestones.Of(journal.EpochsOf(recipe.Name, seed));

    /// <summary>Everything that decides what the run computes, by the names of options, and the seconds of training.</summary>
    public override string State
    {
        get
        {
            JsonObject all = Deciding();
            all[SecondsKey] = _seconds;
            return all.ToJsonString();
        }
    }

    public override void Restore(string state)
    {
        JsonObject then = JsonNode.Parse(state)!.AsObject(), now = Deciding();
        _seconds = (double)then[SecondsKey]!;
        string[] differences =
            [.. now.Where(s => !JsonNode.DeepEquals(s.Value, then[s.Key]))
            .Select(s => $"--{s.Key} is {s.Value ?? "not given"} here, {then[s.Key] ?? "not given"} in the checkpoint")];
        if (differences.Length > 0)
        {
            throw new SampleException($"The checkpoint is of another run: {string.Join("; ", differences)}. Give the same options with "
                + "--resume, or another folder by --out.");
        }
    }

    public override void OnFitBegin(Trainer trainer, FitOptions options, long step)
    {
        journal.Epochs.Cut(recipe.Name, seed, step / batches);
        journal.Constraints.Cut(recipe.Name, seed, step / batches);
        _mark = Stopwatch.GetTimestamp();
    }

    public override void OnStepEnd(Trainer trainer, StepReport report, FitControl control)
    {
        _seconds += Stopwatch.GetElapsedTime(_mark).TotalSeconds;
        _mark = Stopwatch.GetTimestamp();
    }

    public override void OnEvaluated(Trainer trainer, EvaluationReport report, FitControl control)
    {
        int epoch = (int)report.Epoch + 1;
        EvaluationReport own = trainer.Evaluate(training, [Metric.Accuracy()]);
        journal.Epochs.Add(new EpochRow(recipe.Name, seed, epoch, own.Loss, own["accuracy"], report.Loss, report["accuracy"], _seconds)
            .ToString());
        foreach (ConstraintInfo row in trainer.Driver.Optimizer.MeasureConstraints())
            journal.Constraints.Add(new ConstraintRow(recipe.Name, seed, epoch, row.Name, row.Lambda, row.Kappa, row.Measure).ToString());
        control.StopRequested |= Milestones.Stands;
    }

    // Evaluations are not part of the seconds.
    public override void OnEpochEnd(Trainer trainer, EpochReport report, FitControl control) => _mark = Stopwatch.GetTimestamp();

    private JsonObject Deciding()
    {
        JsonObject all = JsonSerializer.SerializeToNode(recipe, Names)!.AsObject();
        all.Remove("name");
        all[settings.FromReference ? "reference_seed" : "seed"] = seed.ToString(CultureInfo.InvariantCulture);
        all["p"] = settings.P;
        all["train_fraction"] = settings.TrainFraction;
        all["batch_size"] = settings.BatchSize;
        return all;
    }
}
