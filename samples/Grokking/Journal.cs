using System.Globalization;

namespace Grokking;

/// <summary>A table in memory and in a file that grows with it; its lines begin with optimizer, seed and epoch, and all runs share
/// it.</summary>
internal sealed class Table(string path, string header)
{
    private readonly List<string[]> _rows = [];

    /// <summary>The rows of a run.</summary>
    public IEnumerable<string[]> Of(string optimizer, long seed) => _rows.Where(r => IsOf(r, optimizer, seed));

    /// <summary>Begins the file anew, or reads what an earlier sitting has left.</summary>
    public void Open(bool resume)
    {
        string[] lines = resume && File.Exists(path) ? File.ReadAllLines(path) : [];
        // A log of something else is set aside. A process that was killed may leave half a line, whose epoch is made again.
        if (lines.Length > 0 && lines[0] != header) File.Move(path, $"{path}.aside", overwrite: true);
        else _rows.AddRange(lines.Skip(1).Select(l => l.Split(',')).Where(cells => cells.Length == header.Split(',').Length));
        Write();
    }

    /// <summary>Removes the rows of a run that belong to epochs after the one that its checkpoint was made at.</summary>
    public void Cut(string optimizer, long seed, long epoch)
    {
        _rows.RemoveAll(r => IsOf(r, optimizer, seed) && long.Parse(r[2], CultureInfo.InvariantCulture) > epoch);
        Write();
    }

    /// <summary>Adds a row of the line's cells.</summary>
    public void Add(string line)
    {
        _rows.Add(line.Split(','));
        File.AppendAllText(path, line + "\n");
    }

    private static bool IsOf(string[] row, string optimizer, long seed) => row[0] == optimizer
        && row[1] == seed.ToString(CultureInfo.InvariantCulture);

    private void Write()
    {
        string temporary = $"{path}.tmp";
        File.WriteAllText(temporary, string.Concat(_rows.Select(r => string.Join(',', r)).Prepend(header).Select(l => l + "\n")));
        File.Move(temporary, path, overwrite: true);
    }
}

/// <summary>Whole training and validation sets after an epoch, and the seconds of training so far (without evaluation): a row of
/// log.csv.</summary>
internal sealed record EpochRow(string Optimizer, long Seed, int Epoch, double TrainLoss, double TrainAccuracy, double ValidationLoss,
    double ValidationAccuracy, double Seconds)
{
    public const string Header = "optimizer,seed,epoch,train_loss,train_acc,val_loss,val_acc,seconds";

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Optimizer},{Seed},{Epoch},{TrainLoss:G6},{TrainAccuracy:F6},{ValidationLoss:G6},{ValidationAccuracy:F6},{Seconds:F2}");

    public static EpochRow Parse(string[] c) =>
        new(c[0], (long)Number(c[1]), (int)Number(c[2]), Number(c[3]), Number(c[4]), Number(c[5]), Number(c[6]), Number(c[7]));

    internal static double Number(string cell) => double.Parse(cell, CultureInfo.InvariantCulture);
}

/// <summary>A bounded matrix after an epoch: multiplier λ, bound κ (NaN while not set) and R(θ): a row of constraints.csv.</summary>
internal sealed record ConstraintRow(string Optimizer, long Seed, int Epoch, string Parameter, double Lambda, double Kappa, double R)
{
    public const string Header = "optimizer,seed,epoch,parameter,lambda,kappa,r";

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Optimizer},{Seed},{Epoch},{Parameter},{Lambda:G7},{Kappa:G7},{R:G7}");

    public static ConstraintRow Parse(string[] c) =>
        new(c[0], (long)EpochRow.Number(c[1]), (int)EpochRow.Number(c[2]), c[3], EpochRow.Number(c[4]), EpochRow.Number(c[5]),
            EpochRow.Number(c[6]));
}

/// <summary>What the whole experiment writes, shared by its runs.</summary>
internal sealed class Journal(string folder)
{
    public Table Epochs { get; } = new(Path.Combine(folder, "log.csv"), EpochRow.Header);

    public Table Constraints { get; } = new(Path.Combine(folder, "constraints.csv"), ConstraintRow.Header);

    public void Open(bool resume)
    {
        Directory.CreateDirectory(folder);
        Epochs.Open(resume);
        Constraints.Open(resume);
    }

    public IReadOnlyList<EpochRow> EpochsOf(string optimizer, long seed) => [.. Epochs.Of(optimizer, seed).Select(EpochRow.Parse)];

    public IReadOnlyList<ConstraintRow> ConstraintsOf(string optimizer, long seed) =>
        [.. Constraints.Of(optimizer, seed).Select(ConstraintRow.Parse)];
}
