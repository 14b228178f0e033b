using System.Globalization;

namespace Grokking;

// A line of a log; every log begins its lines with optimizer, seed, epoch.
internal interface ILogRow<TSelf> where TSelf : ILogRow<TSelf>
{
    static abstract string Header { get; }

    string Optimizer { get; }

    long Seed { get; }

    int Epoch { get; }

    string ToLine();

    // Throws FormatException or IndexOutOfRangeException where the cells are no row.
    static abstract TSelf Parse(string[] cells);
}

// Whole training and validation sets after an epoch, and the seconds of training so far (without evaluation).
internal sealed record EpochRow(string Optimizer, long Seed, int Epoch, double TrainLoss, double TrainAccuracy, double ValidationLoss, double ValidationAccuracy, double Seconds) : ILogRow<EpochRow>
{
    public static string Header => "optimizer,seed,epoch,train_loss,train_acc,val_loss,val_acc,seconds";

    public string ToLine() => string.Create(CultureInfo.InvariantCulture, $"{Optimizer},{Seed},{Epoch},{TrainLoss:G6},{TrainAccuracy:F6},{ValidationLoss:G6},{ValidationAccuracy:F6},{Seconds:F2}");

    public static EpochRow Parse(string[] cells) => new(cells[0], Cell.Whole(cells[1]), (int)Cell.Whole(cells[2]), Cell.Number(cells[3]), Cell.Number(cells[4]), Cell.Number(cells[5]), Cell.Number(cells[6]), Cell.Number(cells[7]));
}

// A bounded matrix after an epoch: multiplier λ, bound κ (NaN while not set) and R(θ).
internal sealed record ConstraintRow(string Optimizer, long Seed, int Epoch, string Parameter, double Lambda, double Kappa, double R) : ILogRow<ConstraintRow>
{
    public static string Header => "optimizer,seed,epoch,parameter,lambda,kappa,r";

    public string ToLine() => string.Create(CultureInfo.InvariantCulture, $"{Optimizer},{Seed},{Epoch},{Parameter},{Lambda:G7},{Kappa:G7},{R:G7}");

    public static ConstraintRow Parse(string[] cells) => new(cells[0], Cell.Whole(cells[1]), (int)Cell.Whole(cells[2]), cells[3], Cell.Number(cells[4]), Cell.Number(cells[5]), Cell.Number(cells[6]));
}

internal static class Cell
{
    public static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    public static long Whole(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
