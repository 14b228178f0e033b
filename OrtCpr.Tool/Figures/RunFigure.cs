using ScottPlot;
using ScottPlot.Plottables;

namespace OrtCpr.Tool.Figures;

// A run as a picture: loss and the evaluations' figures on top, then a small panel a constrained matrix with R/κ and λ.
internal static class RunFigure
{
    private const int Width = 1200, TopHeight = 380, SmallHeight = 180, PerRow = 4, MostMatrices = 48;
    private static readonly Color[] Colors = [.. new ScottPlot.Palettes.Category10().Colors];

    public static void Save(RunLog run, string path)
    {
        string[] figures = [.. run.Columns.Where(c => c.StartsWith("validation_", StringComparison.Ordinal) && c != "validation_loss"
            && run.Values(c).Count > 0)];
        var multiplot = new Multiplot();
        var plots = new List<(Plot Plot, int Width)> { (Losses([run], run.Name), figures.Length > 0 ? 2 : 4) };
        if (figures.Length > 0) plots.Add((Figures([run], figures), 2));
        (string Matrix, double[] Steps, double[] Lambda, double[] Kappa, double[] Measure)[] shown =
            [.. run.Constraints.Take(MostMatrices)];
        foreach ((string matrix, double[] steps, double[] lambda, double[] kappa, double[] measure) in shown)
        {
            plots.Add((Bound(matrix, steps, lambda, kappa, measure), 1));
        }
        multiplot.Reset(plots[0].Plot);
        foreach ((Plot plot, _) in plots.Skip(1)) multiplot.AddPlot(plot);
        multiplot.Layout = new Grid(figures.Length > 0 ? 2 : 1);
        Write(multiplot, path, TopHeight + (((shown.Length + PerRow - 1) / PerRow) * SmallHeight));
    }

    public static void SaveComparison(IReadOnlyList<RunLog> runs, string path)
    {
        string[] figures = [.. runs.SelectMany(r => r.Columns).Distinct()
            .Where(c => c.StartsWith("validation_", StringComparison.Ordinal) && c != "validation_loss"
            && runs.Any(r => r.Values(c).Count > 0))];
        var multiplot = new Multiplot();
        multiplot.Reset(Losses(runs, "training (dotted) and validation"));
        if (figures.Length > 0) multiplot.AddPlot(Figures(runs, figures[..1]));
        multiplot.Layout = new Grid(figures.Length > 0 ? 2 : 1);
        Write(multiplot, path, TopHeight);
    }

    private static Plot Losses(IReadOnlyList<RunLog> runs, string title)
    {
        Plot plot = NewPlot(title, "loss");
        string[] names = [.. runs.Select(r => r.Name).Distinct()];
        foreach (RunLog run in runs)
        {
            Color color = Colors[Array.IndexOf(names, run.Name) % Colors.Length];
            bool isFirst = ReferenceEquals(run, runs.First(r => r.Name == run.Name));
            bool hasValidation = run.Values("validation_loss").Count > 0;
            if (Line(plot, run.Values("loss"), runs.Count == 1 ? Colors[0] : color.WithAlpha(0.5)) is Scatter training)
            {
                training.LinePattern = runs.Count > 1 && hasValidation ? LinePattern.Dotted : LinePattern.Solid;
                training.LegendText = runs.Count == 1 ? "training" : !hasValidation && isFirst ? run.Name : "";
            }
            if (Line(plot, run.Values("validation_loss"), runs.Count == 1 ? Colors[3] : color) is Scatter validation)
            {
                validation.LegendText = runs.Count == 1 ? "validation" : isFirst ? run.Name : "";
            }
        }
        plot.Axes.AutoScale();
        plot.ShowLegend(Alignment.UpperRight);
        return plot;
    }

    private static Plot Figures(IReadOnlyList<RunLog> runs, string[] figures)
    {
        Plot plot = NewPlot("", string.Join(", ", figures.Select(f => f["validation_".Length..])));
        string[] names = [.. runs.Select(r => r.Name).Distinct()];
        foreach (RunLog run in runs)
        {
            for (int i = 0; i < figures.Length; i++)
            {
                Color color = Colors[(runs.Count == 1 ? i : Array.IndexOf(names, run.Name)) % Colors.Length];
                if (Line(plot, run.Values(figures[i]), color) is Scatter line)
                {
                    line.LegendText = runs.Count == 1 ? figures[i]["validation_".Length..]
                        : ReferenceEquals(run, runs.First(r => r.Name == run.Name)) ? run.Name : "";
                }
            }
        }
        plot.Axes.AutoScale();
        // In the corner that the curve leaves free.
        IReadOnlyList<(double Step, double Value)> shown = runs[0].Values(figures[0]);
        plot.ShowLegend(shown[^1].Value < shown[0].Value ? Alignment.UpperRight : Alignment.LowerRight);
        return plot;
    }

    // R/κ on the left axis with the bound at 1, λ on the right one. Before κ is set there is R alone, as a share of its last value.
    private static Plot Bound(string matrix, double[] steps, double[] lambda, double[] kappa, double[] measure)
    {
        Plot plot = NewPlot("", "");
        string name = matrix.Length > 34 ? $"…{matrix[^33..]}" : matrix;
        plot.Title(name, 11);
        double last = kappa.LastOrDefault(double.IsFinite, measure.Length > 0 ? measure[^1] : 1);
        Scatter ratio = plot.Add.ScatterLine(steps, measure.Select((m, i) => m / (double.IsFinite(kappa[i]) ? kappa[i] : last)).ToArray(),
            Colors[0]);
        ratio.LineWidth = 1.6f;
        plot.Add.HorizontalLine(1, 1, Colors[7], LinePattern.Dotted);
        Scatter multiplier = plot.Add.ScatterLine(steps, lambda, Colors[3]);
        multiplier.LineWidth = 1.3f;
        multiplier.Axes.YAxis = plot.Axes.Right;
        plot.Axes.AutoScale();
        plot.Axes.AutoScaleY(plot.Axes.Right);
        plot.Axes.Left.Label.Text = "R/κ";
        plot.Axes.Right.Label.Text = "λ";
        foreach (IAxis axis in new IAxis[] { plot.Axes.Left, plot.Axes.Right, plot.Axes.Bottom })
        {
            axis.Label.FontSize = axis.TickLabelStyle.FontSize = 10;
        }
        plot.Axes.Left.Label.ForeColor = Colors[0];
        plot.Axes.Right.Label.ForeColor = Colors[3];
        plot.HideLegend();
        return plot;
    }

    private static Scatter? Line(Plot plot, IReadOnlyList<(double Step, double Value)> values, Color color)
    {
        if (values.Count == 0) return null;
        Scatter line = plot.Add.ScatterLine(values.Select(v => v.Step).ToArray(), values.Select(v => v.Value).ToArray(), color);
        line.LineWidth = 2;
        if (values.Count == 1) line.MarkerSize = 7;
        return line;
    }

    private static Plot NewPlot(string title, string axis)
    {
        var plot = new Plot();
        if (SkiaSharp.SKFontManager.Default.FontFamilies.Contains("DejaVu Sans")) plot.Font.Set("DejaVu Sans");
        if (title.Length > 0) plot.Title(title, 14);
        if (axis.Length > 0) plot.YLabel(axis, 12);
        plot.XLabel("step", 11);
        plot.Grid.MajorLineColor = Color.FromHex("#E4E4E4");
        return plot;
    }

    private static void Write(Multiplot multiplot, string path, int height)
    {
        string temporary = $"{path}.tmp";
        try
        {
            multiplot.SavePng(temporary, Width, height);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"The picture '{path}' can't be written: {error.Message} What was trained is in its folder; draw it "
                + "again by ortcpr plot.");
        }
    }

    // Some large panels in the first row, then small ones.
    private sealed class Grid(int large) : IMultiplotLayout
    {
        public PixelRect[] GetSubplotRectangles(SubplotCollection subplots, PixelRect figure)
        {
            var all = new PixelRect[subplots.Count];
            float width = figure.Width / PerRow;
            for (int i = 0; i < all.Length; i++)
            {
                int small = i - large;
                all[i] = i < large ? new PixelRect(figure.Left + (i * figure.Width / large), figure.Left + ((i + 1) * figure.Width / large),
                    bottom: figure.Top + TopHeight, top: figure.Top)
                    : new PixelRect(figure.Left + (small % PerRow * width), figure.Left + (((small % PerRow) + 1) * width),
                        bottom: figure.Top + TopHeight + (((small / PerRow) + 1) * SmallHeight), top: figure.Top + TopHeight
                        + (small / PerRow * SmallHeight));
            }
            return all;
        }
    }
}
