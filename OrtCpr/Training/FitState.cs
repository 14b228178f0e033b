using System.Collections.Immutable;
using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>What a checkpoint keeps of a fit beside the driver's state and the position in the data.</summary>
/// <param name="Steps">Steps of the fit.</param>
/// <param name="EpochLoss">Loss of the epoch that was broken off.</param>
/// <param name="Skipped">Skipped steps of that epoch.</param>
/// <param name="Elapsed">Time of all sittings.</param>
/// <param name="Evaluating">The part of it that evaluations took.</param>
/// <param name="Best">The best evaluation so far; NaN where there was none.</param>
internal sealed record FitState(long Steps, WeightedMean EpochLoss, long Skipped, TimeSpan Elapsed, TimeSpan Evaluating,
    double Best)
{
    private const string StepsKey = "fit.steps", LossSumKey = "fit.loss_sum", LossWeightKey = "fit.loss_weight", SkippedKey = "fit.skipped",
        SecondsKey = "fit.seconds", EvaluatingKey = "fit.evaluation_seconds", BestKey = "fit.best", CallbackKey = "fit.callback.",
        SettingKey = "fit.setting.", UnitsKey = "fit.units", UnitKey = "fit.unit";

    /// <summary>What the epoch at hand has taken of the data, in units that do not depend on the number of ranks; null in files of before
    /// these were kept.</summary>
    public (long Units, string Unit)? Position { get; init; }

    /// <summary>All of it as texts, with the state of the callbacks and what decides the run.</summary>
    public Dictionary<string, string> ToExtra(ImmutableArray<TrainerCallback> callbacks, ImmutableDictionary<string, string> settings)
    {
        var extra = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            [StepsKey] = Steps.ToString(CultureInfo.InvariantCulture),
            [LossSumKey] = Text(EpochLoss.Sum),
            [LossWeightKey] = Text(EpochLoss.Weight),
            [SkippedKey] = Skipped.ToString(CultureInfo.InvariantCulture),
            [SecondsKey] = Text(Elapsed.TotalSeconds),
            [EvaluatingKey] = Text(Evaluating.TotalSeconds),
            [BestKey] = Text(Best),
        };
        if (Position is (long units, string unit))
        {
            extra[UnitsKey] = units.ToString(CultureInfo.InvariantCulture);
            extra[UnitKey] = unit;
        }
        for (int i = 0; i < callbacks.Length; i++)
        {
            if (callbacks[i].State is string state) extra[KeyOf(callbacks, i)] = state;
        }
        foreach ((string name, string value) in settings) extra[SettingKey + name] = value;
        return extra;
    }

    /// <summary>Refuses a checkpoint of a run that was decided by other settings.</summary>
    /// <exception cref="CheckpointException">Names every difference.</exception>
    public static void CompareSettings(IReadOnlyDictionary<string, string> extra, ImmutableDictionary<string, string> settings, string path)
    {
        string[] differences = [.. settings.OrderBy(s => s.Key, StringComparer.Ordinal)
            .Select(s => (s.Key, Here: s.Value, There: extra.GetValueOrDefault(SettingKey + s.Key))).Where(s => s.Here != s.There)
            .Select(s => $"{s.Key} is {s.Here} here, {s.There ?? "not given"} in the checkpoint")];
        if (differences.Length == 0) return;
        throw new CheckpointException($"Checkpoint '{path}' is of another run: {string.Join("; ", differences)}. Go on with the same "
            + "settings, or name another folder.");
    }

    /// <summary>Whether a fit has written the checkpoint.</summary>
    public static bool IsIn(IReadOnlyDictionary<string, string> extra) => extra.ContainsKey(StepsKey);

    /// <summary>Takes back what <see cref="ToExtra"/> gave.</summary>
    /// <exception cref="CheckpointException">No fit has written it, or it is damaged; names every bad entry.</exception>
    public static FitState Read(IReadOnlyDictionary<string, string> extra, string path)
    {
        if (!IsIn(extra))
        {
            throw new CheckpointException($"Checkpoint '{path}' was not written by a fit: it lacks '{StepsKey}'. "
                + $"Load it by TrainingCheckpoint.Load and fit without {nameof(CheckpointOptions.Resume)}.");
        }
        var problems = new List<string>();
        double steps = Number(StepsKey), sum = Number(LossSumKey), weight = Number(LossWeightKey);
        double seconds = Number(SecondsKey), best = Number(BestKey);
        // Checkpoints of before these entries came have none.
        double skipped = extra.ContainsKey(SkippedKey) ? Number(SkippedKey) : 0;
        double evaluating = extra.ContainsKey(EvaluatingKey) ? Number(EvaluatingKey) : 0;
        if (!(steps >= 0 && steps == Math.Floor(steps) && steps < long.MaxValue))
            problems.Add($"'{StepsKey}' is '{extra[StepsKey]}', expected a whole number of at least 0");
        foreach ((string key, double value) in new[] { (SecondsKey, seconds), (EvaluatingKey, evaluating) })
        {
            if (!(value >= 0 && value < TimeSpan.MaxValue.TotalSeconds))
                problems.Add($"'{key}' is '{extra.GetValueOrDefault(key)}', expected seconds of at least 0");
        }
        double units = extra.ContainsKey(UnitsKey) ? Number(UnitsKey) : 0;
        if (!(units >= 0 && units == Math.Floor(units) && units < long.MaxValue))
            problems.Add($"'{UnitsKey}' is '{extra[UnitsKey]}', expected a whole number of at least 0");
        if (problems.Count > 0)
        {
            throw new CheckpointException($"The fit's progress in checkpoint '{path}' is damaged: {string.Join("; ", problems)}. "
                + $"Go on from another checkpoint, or begin anew without {nameof(CheckpointOptions.Resume)}.");
        }
        return new((long)steps, new WeightedMean { Sum = sum, Weight = weight }, (long)skipped, TimeSpan.FromSeconds(seconds),
            TimeSpan.FromSeconds(evaluating), best)
        {
            Position = extra.TryGetValue(UnitKey, out string? unit) ? ((long)units, unit) : null,
        };

        double Number(string key)
        {
            if (!extra.TryGetValue(key, out string? text)) problems.Add($"'{key}' is missing");
            else if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)) return value;
            else problems.Add($"'{key}' is '{text}', expected a number");
            return 0;
        }
    }

    /// <summary>Gives each callback its state back.</summary>
    public static void RestoreCallbacks(IReadOnlyDictionary<string, string> extra, ImmutableArray<TrainerCallback> callbacks)
    {
        for (int i = 0; i < callbacks.Length; i++)
        {
            if (extra.TryGetValue(KeyOf(callbacks, i), out string? state)) callbacks[i].Restore(state);
        }
    }

    private static string KeyOf(ImmutableArray<TrainerCallback> callbacks, int index) =>
        $"{CallbackKey}{index}.{callbacks[index].GetType().Name}";

    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
