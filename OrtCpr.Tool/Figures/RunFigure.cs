using System.Globalization;
using ScottPlot;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace OrtCpr.Tool.Figures;

// What is drawn from left to right.
internal sealed record StepAxis(bool InEpochs = false, bool IsLogarithmic = false)
{
    public string Label => InEpochs ? "epoch" : "step";

    public double Of(RunLog run, double step)
    {
        double at = InEpochs ? step / run.StepsPerEpoch : step;
        return IsLogarithmic ? Math.Log10(at) : at;
    }
}

// Runs as a picture: loss and the evaluations' figures on top, then a small panel a constrained matrix with R/κ and λ, of the first run
// that has any. The file is compiled into samples that draw as well.
internal sealed class RunFigure
{
    private const int Width = 1200, TopHeight = 380, SmallHeight = 180, PerRow = 4, MostMatrices = 48, MostBesideOthers = 8;
    private static readonly Color[] Colors = [.. new ScottPlot.Palettes.Category10().Colors];
    private readonly IReadOnlyList<RunLog> _runs;
    private readonly StepAxis _axis;
    private readonly string[] _names;

    private RunFigure(IReadOnlyList<RunLog> runs, StepAxis axis) =>
        (_runs, _axis, _names) = (runs, axis, [.. runs.Select(r => r.Name).Distinct()]);

    // Runs of the same name have the same colour, and the later ones are fainter.
    public static void Save(IReadOnlyList<RunLog> runs, string path, StepAxis axis) => new RunFigure(runs, axis).Save(path);

    // The panels of one run, for a page that lays them out itself: loss and figures, then a small one a constrained matrix.
    public static (IReadOnlyList<Plot> Large, IReadOnlyList<Plot> Small) Plots(RunLog run, StepAxis axis) =>
        new RunFigure([run], axis).Plots();

    private void Save(string path)
    {
        (IReadOnlyList<Plot> large, IReadOnlyList<Plot> small) = Plots();
        var multiplot = new Multiplot();
        multiplot.Reset(large[0]);
        foreach (Plot plot in large.Skip(1).Concat(small)) multiplot.AddPlot(plot);
        multiplot.Layout = new Grid(large.Count);
        Write(multiplot, path, TopHeight + ((small.Count + PerRow - 1) / PerRow * SmallHeight));
    }

    private (IReadOnlyList<Plot> Large, IReadOnlyList<Plot> Small) Plots()
    {
        string[] figures = [.. _runs.SelectMany(r => r.Columns).Distinct()
            .Where(c => c.StartsWith("validation_", StringComparison.Ordinal) && c != "validation_loss"
                && _runs.Any(r => r.Values(c).Count > 0)).Select(c => c["validation_".Length..])];
        List<Plot> plots = [Panel(["loss"], _runs.Count == 1 ? _runs[0].Name : "training (dotted) and validation")];
        // In one picture for several runs there is room for the first figure.
        if (figures.Length > 0) plots.Add(Panel(_runs.Count == 1 ? figures : figures[..1], ""));
        List<Plot> small = [];
        if (_runs.FirstOrDefault(r => r.Constraints.Count > 0) is RunLog bounded
            && (_runs.Count == 1 || bounded.Constraints.Count <= MostBesideOthers))
        {
            small.AddRange(bounded.Constraints.Take(MostMatrices)
                .Select(c => Bound(bounded, c.Matrix, c.Steps, c.Lambda, c.Kappa, c.Measure)));
        }
        return (plots, small);
    }

    // Figures of all runs: of the training examples, where they are logged, and of the validation.
    private Plot Panel(string[] figures, string title)
    {
        Plot plot = NewPlot(title, string.Join(", ", figures));
        bool isAlone = _runs.Count == 1 && figures.Length == 1;
        foreach (RunLog run in _runs)
        {
            bool isFirst = ReferenceEquals(run, _runs.First(r => r.Name == run.Name));
            foreach ((int index, string figure) in figures.Index())
            {
                Color color = Colors[(_runs.Count == 1 ? index : Array.IndexOf(_names, run.Name)) % Colors.Length]
                    .WithAlpha(isFirst ? 1 : 0.5);
                string name = _runs.Count == 1 ? figure : isFirst ? run.Name : "";
                bool hasValidation = run.Values($"validation_{figure}").Count > 0;
                if (Line(plot, run, TrainingColumn(run, figure), isAlone ? Colors[0] : color) is Scatter training)
                {
                    if (hasValidation && !isAlone) (training.LinePattern, training.LineWidth) = (LinePattern.Dotted, 1.5f);
                    training.LegendText = isAlone ? "training" : hasValidation ? "" : name;
                }
                if (Line(plot, run, $"validation_{figure}", isAlone ? Colors[3] : color) is Scatter validation)
                    validation.LegendText = isAlone ? "validation" : name;
            }
        }
        plot.Axes.AutoScale();
        // In a corner that the curves leave free: the one that moves most falls or rises, and late on a logarithmic axis.
        bool falls = _runs.Select(r => r.Values($"validation_{figures[0]}")).Where(v => v.Count > 0)
            .Select(v => v[^1].Value - v[0].Value).DefaultIfEmpty().MaxBy(Math.Abs) <= 0;
        plot.ShowLegend(_axis.IsLogarithmic ? falls ? Alignment.LowerLeft : Alignment.UpperLeft
            : falls ? Alignment.UpperRight : Alignment.LowerRight);
        return plot;
    }

    // The loss of the steps, or else the figure of what is evaluated beside the validation.
    private static string TrainingColumn(RunLog run, string figure) => run.Columns.Contains(figure) ? figure
        : run.Columns.FirstOrDefault(c => c != $"validation_{figure}" && c.EndsWith($"_{figure}", StringComparison.Ordinal)) ?? "";

    // R/κ on the left axis with the bound at 1, λ on the right one. Before κ is set there is R alone, as a share of its last value.
    private Plot Bound(RunLog run, string matrix, double[] steps, double[] lambda, double[] kappa, double[] measure)
    {
        Plot plot = NewPlot("", "");
        string name = matrix.Length > 34 ? $"…{matrix[^33..]}" : matrix;
        plot.Title(name, 11);
        if (_runs.Count > 1) plot.XLabel($"{_axis.Label}, {run.Name}");
        double[] x = [.. steps.Select(s => _axis.Of(run, s))];
        double last = kappa.LastOrDefault(double.IsFinite, measure.Length > 0 ? measure[^1] : 1);
        Scatter ratio = plot.Add.ScatterLine(x, measure.Select((m, i) => m / (double.IsFinite(kappa[i]) ? kappa[i] : last)).ToArray(),
            Colors[0]);
        ratio.LineWidth = 1.6f;
        plot.Add.HorizontalLine(1, 1, Colors[7], LinePattern.Dotted);
        Scatter multiplier = plot.Add.ScatterLine(x, lambda, Colors[3]);
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

    private Scatter? Line(Plot plot, RunLog run, string column, Color color)
    {
        IReadOnlyList<(double Step, double Value)> values = run.Values(column);
        if (values.Count == 0) return null;
        double[] x = [.. values.Select(v => _axis.Of(run, v.Step))], y = [.. values.Select(v => v.Value)];
        Scatter line = plot.Add.ScatterLine(x, y, color);
        line.LineWidth = 2;
        if (values.Count == 1) line.MarkerSize = 7;
        return line;
    }

    private Plot NewPlot(string title, string axis)
    {
        var plot = new Plot();
        if (SkiaSharp.SKFontManager.Default.FontFamilies.Contains("DejaVu Sans")) plot.Font.Set("DejaVu Sans");
        if (title.Length > 0) plot.Title(title, 14);
        if (axis.Length > 0) plot.YLabel(axis, 12);
        plot.XLabel(_axis.Label, 11);
        plot.Grid.MajorLineColor = Color.FromHex("#E4E4E4");
        if (_axis.IsLogarithmic)
        {
            // Powers of ten with their numbers, and the lines between them.
            plot.Axes.Bottom.TickGenerator = new NumericAutomatic
            {
                MinorTickGenerator = new LogMinorTickGenerator(),
                IntegerTicksOnly = true,
                LabelFormatter = x => Math.Pow(10, x).ToString("0", CultureInfo.InvariantCulture),
            };
        }
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
            throw new FigureException($"The picture '{path}' can't be written: {error.Message} What was trained is in its folder; draw it "
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
