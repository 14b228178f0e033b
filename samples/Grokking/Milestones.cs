using System.Globalization;

namespace Grokking;

/// <summary>What the rows of a run say: when it memorised, when it generalised, when it is over. First epochs are epochs of
/// evaluation.</summary>
internal sealed record Milestones(int? Train99, int? Validation95, int? Validation99, int LastEpoch, double ValidationAccuracy, bool Stands)
{
    private const int EpochsToStand = 10;

    public static Milestones Of(IReadOnlyList<EpochRow> rows)
    {
        int? since = null;
        foreach (EpochRow row in rows) since = row.ValidationAccuracy >= 0.99 ? since ?? row.Epoch : null;
        int last = rows.Count == 0 ? 0 : rows[^1].Epoch;
        return new(
            rows.FirstOrDefault(r => r.TrainAccuracy >= 0.99)?.Epoch,
            rows.FirstOrDefault(r => r.ValidationAccuracy >= 0.95)?.Epoch,
            rows.FirstOrDefault(r => r.ValidationAccuracy >= 0.99)?.Epoch,
            last,
            rows.Count == 0 ? 0 : rows[^1].ValidationAccuracy,
            // The validation accuracy has been at least 0.99 for ten epochs: the run may end.
            since is int first && last - first + 1 >= EpochsToStand);
    }

    public static string Text(int? epoch) => epoch?.ToString(CultureInfo.InvariantCulture) ?? "-";
}

/// <summary>A finished run.</summary>
internal sealed record RunSummary(string Optimizer, long Seed, Milestones Milestones, double StepsPerSecond)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Optimizer} seed {Seed}: train >= 0.99 at epoch {Milestones.Text(Milestones.Train99)}, validation >= 0.95 at epoch "
            + $"{Milestones.Text(Milestones.Validation95)}, {StepsPerSecond:F0} steps/s");
}
