using System.Globalization;
using ScottPlot;
using ScottPlot.Panels;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Grokking;

/// <summary>Accuracy against epoch on a logarithmic axis and, where there are bounds, λ and R/κ of every matrix below it; else
/// losses.</summary>
internal static class Figure
{
    private const int Width = 1100, PanelHeight = 420, SmallPanelHeight = 270, LegendWidth = 240;
    private static readonly Color[] Colors = [.. new ScottPlot.Palettes.Category10().Colors];

    /// <summary>Draws what the journal has of some runs; nothing where it has nothing.</summary>
    public static void Save(Journal journal, (Recipe Recipe, long Seed)[] runs, string path)
    {
        (string Name, long Seed, IReadOnlyList<EpochRow> Rows)[] curves =
            [.. runs.Select(r => (r.Recipe.Name, r.Seed, journal.EpochsOf(r.Recipe.Name, r.Seed))).Where(c => c.Item3.Count > 0)];
        if (curves.Length == 0) return;
        double last = Math.Max(10, curves.Max(c => c.Rows[^1].Epoch));
        string title = curves.Length == 1 ? $"{curves[0].Name}, seed {curves[0].Seed}: (x + y) mod p"
            : "(x + y) mod p: validation (solid) and training (dotted)";
        Plot accuracies = NewPlot(title, "accuracy", last);
        AddRuns(accuracies, curves, row => row.TrainAccuracy, row => row.ValidationAccuracy);
        accuracies.Axes.SetLimitsY(-0.03, 1.03);
        ShowLegend(accuracies);
        List<(Plot Plot, int Height)> panels = [(accuracies, PanelHeight)];
        (string name, long seed, IReadOnlyList<ConstraintRow> bounds) =
            curves.Select(c => (c.Name, c.Seed, journal.ConstraintsOf(c.Name, c.Seed))).FirstOrDefault(c => c.Item3.Count > 0);
        if (bounds is not null)
        {
            string run = curves.Length == 1 ? "" : $" ({name}, seed {seed})";
            panels.Add((PerMatrix($"λ{run}", "multiplier λ", bounds, row => row.Lambda, last, legend: true), SmallPanelHeight));
            panels.Add((PerMatrix($"R/κ{run}", "R / κ", bounds, row => row.R / row.Kappa, last, legend: false), SmallPanelHeight));
        }
        else
        {
            Plot losses = NewPlot("", "loss", last);
            AddRuns(losses, curves, row => Math.Log10(Math.Max(row.TrainLoss, 1e-8)), row =>
                Math.Log10(Math.Max(row.ValidationLoss, 1e-8)));
            losses.Axes.AutoScaleY();
            losses.Axes.Left.TickGenerator = LogTicks(x => string.Create(CultureInfo.InvariantCulture, $"1e{x:0}"));
            losses.HideLegend();
            panels.Add((losses, SmallPanelHeight));
        }
        // Equal frames, so that the epochs of all panels stand above each other.
        foreach ((Plot plot, _) in panels)
        {
            plot.Layout.Fixed(new PixelPadding(90, LegendWidth, plot == panels[^1].Plot ? 50 : 25, plot.Axes.Title.Label.Text.Length > 0
                ? 40 : 15));
        }
        panels[^1].Plot.XLabel("epoch", 14);
        var multiplot = new Multiplot();
        multiplot.Reset(panels[0].Plot);
        foreach ((Plot plot, _) in panels.Skip(1)) multiplot.AddPlot(plot);
        multiplot.Layout = new Stack([.. panels.Select(p => p.Height)]);
        string temporary = $"{path}.tmp";
        multiplot.SavePng(temporary, Width, panels.Sum(p => p.Height));
        File.Move(temporary, path, overwrite: true);
    }

    private static void AddRuns(Plot plot, (string Name, long Seed, IReadOnlyList<EpochRow> Rows)[] curves, Func<EpochRow, double> training,
        Func<EpochRow, double> validation)
    {
        string[] names = [.. curves.Select(r => r.Name).Distinct()];
        foreach ((string name, long seed, IReadOnlyList<EpochRow> rows) in curves)
        {
            // Further seeds of an optimizer share its colour and are fainter.
            Color color = Colors[Array.IndexOf(names, name) % Colors.Length]
                .WithAlpha(curves.First(c => c.Name == name).Seed == seed ? 1 : 0.5);
            double[] epochs = [.. rows.Select(r => Math.Log10(r.Epoch))];
            Scatter train = Line(plot, epochs, [.. rows.Select(training)], color),
                valid = Line(plot, epochs, [.. rows.Select(validation)], color);
            if (curves.Length == 1)
            {
                (train.Color, valid.Color) = (Colors[0], Colors[3]);
                (train.LegendText, valid.LegendText) = ("training", "validation");
                continue;
            }
            train.LinePattern = LinePattern.Dotted;
            train.LineWidth = 1.5f;
            valid.LegendText = names.Length == curves.Length ? name : $"{name}, seed {seed}";
        }
    }

    private static Plot PerMatrix(string title, string axis, IReadOnlyList<ConstraintRow> rows, Func<ConstraintRow, double> value,
        double last, bool legend)
    {
        Plot plot = NewPlot(title, axis, last);
        foreach ((int index, IGrouping<string, ConstraintRow> matrix) in rows.GroupBy(row => row.Parameter).Index())
        {
            // A bound that is not set yet has no ratio.
            ConstraintRow[] known = [.. matrix.Where(row => double.IsFinite(value(row)))];
            if (known.Length == 0) continue;
            Line(plot, [.. known.Select(row => Math.Log10(row.Epoch))], [.. known.Select(value)],
                Colors[index % Colors.Length]).LegendText = matrix.Key;
        }
        plot.Axes.AutoScaleY();
        if (legend) ShowLegend(plot);
        else plot.HideLegend();
        return plot;
    }

    private static Plot NewPlot(string title, string axis, double last)
    {
        var plot = new Plot();
        if (SkiaSharp.SKFontManager.Default.FontFamilies.Contains("DejaVu Sans")) plot.Font.Set("DejaVu Sans");
        if (title.Length > 0) plot.Title(title, 16);
        plot.YLabel(axis, 14);
        plot.Axes.Bottom.TickGenerator = LogTicks(x => Math.Pow(10, x).ToString("0", CultureInfo.InvariantCulture));
        plot.Axes.SetLimitsX(0, Math.Log10(last * 1.03));
        plot.Grid.MajorLineColor = Color.FromHex("#E4E4E4");
        return plot;
    }

    private static Scatter Line(Plot plot, double[] x, double[] y, Color color)
    {
        Scatter line = plot.Add.ScatterLine(x, y, color);
        line.LineWidth = 2.2f;
        return line;
    }

    // Powers of ten with their numbers, and the lines between them.
    private static NumericAutomatic LogTicks(Func<double, string> label) =>
        new() { MinorTickGenerator = new LogMinorTickGenerator(), IntegerTicksOnly = true, LabelFormatter = label };

    // Beside the frame, where it hides nothing.
    private static void ShowLegend(Plot plot)
    {
        LegendPanel panel = plot.ShowLegend(Edge.Right);
        panel.Alignment = Alignment.UpperLeft;
        plot.Legend.ShadowColor = plot.Legend.OutlineColor = ScottPlot.Colors.Transparent;
        plot.Legend.SetBestFontOnEachRender = false;
        // The first item is clipped at its top by a pixel or two, so it is an empty one.
        LegendItem[] items = [new() { LabelText = " " }, .. plot.Legend.GetItems()];
        foreach (Scatter line in plot.PlottableList.OfType<Scatter>()) line.LegendText = "";
        foreach (LegendItem item in items) plot.Legend.ManualItems.Add(item);
    }

    /// <summary>Panels from top to bottom, each with its own height.</summary>
    private sealed class Stack(int[] heights) : IMultiplotLayout
    {
        public PixelRect[] GetSubplotRectangles(SubplotCollection subplots, PixelRect figure)
        {
            float top = figure.Top, unit = figure.Height / heights.Sum();
            return [.. heights.Select(height =>
                new PixelRect(figure.Left, figure.Right, bottom: (top += height * unit), top: top - (height * unit)))];
        }
    }
}
