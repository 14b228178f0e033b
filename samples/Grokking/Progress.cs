using System.Diagnostics;

namespace Grokking;

// One line that is written over again in a terminal; a plain line now and then where the output goes to a file.
internal sealed class Progress(TextWriter output, bool terminal)
{
    private const int LineEvery = 50;
    private readonly Stopwatch _clock = new();
    private int _length, _firstEpoch;

    public static Progress ToConsole() => new(Console.Out, !Console.IsOutputRedirected);

    // Before the first epoch of this process.
    public void Begin(int finishedEpochs)
    {
        _firstEpoch = finishedEpochs;
        _clock.Restart();
    }

    public void Report(EpochRow row, int epochs, double stepsPerSecond, string bounds, bool isLast)
    {
        TimeSpan left = _clock.Elapsed * ((double)(epochs - row.Epoch) / Math.Max(1, row.Epoch - _firstEpoch));
        string line = $"{row.Optimizer} seed {row.Seed}  epoch {row.Epoch}/{epochs}  train {row.TrainLoss:F3} {row.TrainAccuracy:P1}  validation {row.ValidationLoss:F3} {row.ValidationAccuracy:P1}  " +
            $"{stepsPerSecond:F0} steps/s{bounds}  at most {(int)left.TotalMinutes}:{left.Seconds:D2} left";
        if (terminal) Overwrite(line);
        else if (row.Epoch == 1 || row.Epoch % LineEvery == 0 || isLast) output.WriteLine(line);
    }

    // A line that stays.
    public void Say(string line)
    {
        if (terminal) Overwrite("");
        output.WriteLine(line);
        output.Flush();
    }

    private void Overwrite(string line)
    {
        int width = Console.WindowWidth is > 1 and int w ? w - 1 : 120;
        if (line.Length > width) line = line[..width];
        output.Write($"\r{line.PadRight(Math.Min(_length, width))}{(line.Length == 0 ? "\r" : "")}");
        _length = line.Length;
    }
}
