using System.Globalization;
using OrtCpr.Tool.Figures;
using ScottPlot;

namespace OrtCpr.Tool.Train;

// `ortcpr train … --find-lr`: tries learning rates instead of training, and draws what came out.
internal static class RateSearch
{
    private const int Width = 900, Height = 450;

    public static void Run(TrainingDriver driver, BatchSource source, long steps, string folder, CancellationToken cancellation)
    {
        int most = (int)Math.Clamp(steps, 20, 100);
        LearningRateCurve curve = new LearningRateSearch { Steps = most }.Run(driver, source, cancellation);
        string table = Path.Combine(folder, "learning_rate.csv"), picture = Path.Combine(folder, "learning_rate.png");
        try
        {
            File.WriteAllLines(table, curve.Points.Select(p => string.Create(CultureInfo.InvariantCulture,
                $"{p.Rate:R},{p.Loss:R},{p.Smoothed:R}")).Prepend("learning_rate,loss,smoothed"));
            Draw(curve, picture);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new FigureException($"--out '{folder}' can't be written: {error.Message} Check the folder and the free space.");
        }
        Console.WriteLine(curve.Suggestion is double rate
            ? string.Create(CultureInfo.InvariantCulture,
                $"The loss is least at a learning rate of {10 * rate:G2}; a tenth of that is a good start: --lr {rate:G2}")
            : "The loss falls at no learning rate. Check the data, the loss and what is trained.");
        Console.WriteLine($"{curve.Points.Count} steps were tried, and nothing is trained; {table}, picture: {picture}");
    }

    private static void Draw(LearningRateCurve curve, string path)
    {
        var plot = new Plot();
        double[] rates = [.. curve.Points.Select(p => Math.Log10(p.Rate))];
        plot.Add.ScatterLine(rates, curve.Points.Select(p => p.Loss).ToArray(), Colors.LightGray).LegendText = "loss of a batch";
        ScottPlot.Plottables.Scatter mean = plot.Add.ScatterLine(rates, curve.Points.Select(p => p.Smoothed).ToArray(), Colors.C0);
        (mean.LineWidth, mean.LegendText) = (2, "mean of the losses");
        if (curve.Suggestion is double rate)
            plot.Add.VerticalLine(Math.Log10(rate), 1, Colors.C3).LegendText = string.Create(CultureInfo.InvariantCulture, $"{rate:G2}");
        plot.Axes.Bottom.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic
        {
            IntegerTicksOnly = true,
            LabelFormatter = x => string.Create(CultureInfo.InvariantCulture, $"1e{x:0}"),
        };
        plot.XLabel("learning rate");
        plot.YLabel("loss");
        plot.ShowLegend(Alignment.UpperLeft);
        plot.SavePng(path, Width, Height);
    }
}
