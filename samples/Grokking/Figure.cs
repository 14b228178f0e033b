using System.Globalization;
using ScottPlot;
using ScottPlot.Panels;
using ScottPlot.Plottables;
using ScottPlot.TickGenerators;

namespace Grokking;

// Accuracy against epoch on a logarithmic axis and, where there are bounds, λ and R/κ of every matrix below it.
internal sealed class Figure
{
    private const int Width = 1100, PanelHeight = 420, SmallPanelHeight = 270, LegendWidth = 240;
    private static readonly Color[] Colors = [.. new ScottPlot.Palettes.Category10().Colors];
    private readonly Journal _journal;
    private readonly (Recipe Recipe, long Seed)[] _runs;
    private readonly int _last;

    public Figure(Journal journal, (Recipe Recipe, long Seed)[] runs)
    {
        _journal = journal;
        _runs = runs;
        _last = Math.Max(10, journal.Epochs.Rows.Max(row => row.Epoch));
    }

    public void Save(string path)
    {
        (Recipe Recipe, long Seed)? bounded = _runs.Where(r => _journal.Constraints.Of(r.Recipe.Name, r.Seed).Count > 0).Select(r => ((Recipe, long)?)r).FirstOrDefault();
        List<(Plot Plot, int Height)> panels = [(Accuracies(), PanelHeight)];
        if (bounded is (Recipe recipe, long seed))
        {
            IReadOnlyList<ConstraintRow> rows = _journal.Constraints.Of(recipe.Name, seed);
            string run = _runs.Length == 1 ? "" : $" ({recipe.Name}, seed {seed})";
            panels.Add((PerMatrix($"λ{run}", "multiplier λ", rows, row => row.Lambda, true), SmallPanelHeight));
            panels.Add((PerMatrix($"R/κ{run}", "R / κ", rows, row => row.R / row.Kappa, false), SmallPanelHeight));
        }
        else
        {
            panels.Add((Losses(), SmallPanelHeight));
        }
        // Equal frames, so that the epochs of all panels stand above each other.
        foreach ((Plot plot, _) in panels) plot.Layout.Fixed(new PixelPadding(90, LegendWidth, plot == panels[^1].Plot ? 50 : 25, plot.Axes.Title.Label.Text.Length > 0 ? 40 : 15));
        panels[^1].Plot.XLabel("epoch", 14);

        var multiplot = new Multiplot();
        multiplot.Reset(panels[0].Plot);
        foreach ((Plot plot, _) in panels.Skip(1)) multiplot.AddPlot(plot);
        multiplot.Layout = new Rows([.. panels.Select(p => p.Height)]);
        string temporary = $"{path}.tmp";
        multiplot.SavePng(temporary, Width, panels.Sum(p => p.Height));
        File.Move(temporary, path, overwrite: true);
    }

    private Plot Accuracies()
    {
        Plot plot = NewPlot(_runs.Length == 1 ? $"{_runs[0].Recipe.Name}, seed {_runs[0].Seed}: (x + y) mod p" : "(x + y) mod p: validation (solid) and training (dotted)", "accuracy");
        AddRuns(plot, row => row.TrainAccuracy, row => row.ValidationAccuracy, y => y);
        plot.Axes.SetLimitsY(-0.03, 1.03);
        ShowLegend(plot);
        return plot;
    }

    private Plot Losses()
    {
        Plot plot = NewPlot("", "loss");
        AddRuns(plot, row => row.TrainLoss, row => row.ValidationLoss, y => Math.Log10(Math.Max(y, 1e-8)));
        plot.Axes.AutoScaleY();
        plot.Axes.Left.TickGenerator = LogTicks(x => string.Create(CultureInfo.InvariantCulture, $"1e{x:0}"));
        plot.HideLegend();
        return plot;
    }

    private void AddRuns(Plot plot, Func<EpochRow, double> training, Func<EpochRow, double> validation, Func<double, double> scale)
    {
        string[] names = [.. _runs.Select(r => r.Recipe.Name).Distinct()];
        foreach ((Recipe recipe, long seed) in _runs)
        {
            IReadOnlyList<EpochRow> rows = _journal.Epochs.Of(recipe.Name, seed);
            if (rows.Count == 0) continue;
            double[] epochs = [.. rows.Select(r => Math.Log10(r.Epoch))];
            Color color = Colors[Array.IndexOf(names, recipe.Name) % Colors.Length];
            Scatter train = Line(plot, epochs, [.. rows.Select(r => scale(training(r)))], color);
            Scatter valid = Line(plot, epochs, [.. rows.Select(r => scale(validation(r)))], color);
            if (_runs.Length == 1)
            {
                (train.Color, valid.Color) = (Colors[0], Colors[3]);
                (train.LegendText, valid.LegendText) = ("training", "validation");
                continue;
            }
            train.LinePattern = LinePattern.Dotted;
            train.LineWidth = 1.5f;
            valid.LegendText = names.Length == _runs.Length ? recipe.Name : $"{recipe.Name}, seed {seed}";
            // Further seeds of an optimizer share its colour and are fainter.
            int index = _runs.Where(r => r.Recipe.Name == recipe.Name).Select(r => r.Seed).ToList().IndexOf(seed);
            if (index > 0) (train.Color, valid.Color) = (color.WithAlpha(0.5), color.WithAlpha(0.5));
        }
    }

    private Plot PerMatrix(string title, string axis, IReadOnlyList<ConstraintRow> rows, Func<ConstraintRow, double> value, bool legend)
    {
        Plot plot = NewPlot(title, axis);
        int index = 0;
        foreach (IGrouping<string, ConstraintRow> matrix in rows.GroupBy(row => row.Parameter))
        {
            // A bound that is not set yet has no ratio.
            ConstraintRow[] known = [.. matrix.Where(row => double.IsFinite(value(row)))];
            Color color = Colors[index++ % Colors.Length];
            if (known.Length == 0) continue;
            Line(plot, [.. known.Select(row => Math.Log10(row.Epoch))], [.. known.Select(value)], color).LegendText = matrix.Key;
        }
        plot.Axes.AutoScaleY();
        if (legend) ShowLegend(plot);
        else plot.HideLegend();
        return plot;
    }

    private Plot NewPlot(string title, string axis)
    {
        var plot = new Plot();
        if (SkiaSharp.SKFontManager.Default.FontFamilies.Contains("DejaVu Sans")) plot.Font.Set("DejaVu Sans");
        if (title.Length > 0) plot.Title(title, 16);
        plot.YLabel(axis, 14);
        plot.Axes.Bottom.TickGenerator = LogTicks(x => Math.Pow(10, x).ToString("0", CultureInfo.InvariantCulture));
        plot.Axes.SetLimitsX(0, Math.Log10(_last * 1.03));
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
    private static NumericAutomatic LogTicks(Func<double, string> label) => new() { MinorTickGenerator = new LogMinorTickGenerator(), IntegerTicksOnly = true, LabelFormatter = label };

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

    // Panels from top to bottom, each with its own height.
    private sealed class Rows(int[] heights) : IMultiplotLayout
    {
        public PixelRect[] GetSubplotRectangles(SubplotCollection subplots, PixelRect figure)
        {
            float top = figure.Top, unit = figure.Height / heights.Sum();
            return [.. heights.Select(height => new PixelRect(figure.Left, figure.Right, bottom: (top += height * unit), top: top - (height * unit)))];
        }
    }
}
