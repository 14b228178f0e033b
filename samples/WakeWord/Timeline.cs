using System.Globalization;
using ScottPlot;

namespace WakeWord;

// Scores over the time of a recording, under its features.
internal sealed class Timeline(Recording recording, float[] features, int frames, double threshold)
{
    private const int Width = 1200, Height = 620;
    private static readonly Color Word = Color.FromHex("#2CA02C"), Other = Color.FromHex("#7F7F7F"), Line = Color.FromHex("#D62728");

    // How many of the events have a score above the threshold while they are heard, or within a second after, before the next.
    public string Found(double[] scores, bool isWord)
    {
        int found = 0, count = 0;
        for (int e = 0; e < recording.Events.Count; e++)
        {
            (int start, int end, bool kind) = recording.Events[e];
            if (kind != isWord) continue;
            count++;
            double last = Math.Min(Seconds(end) + 1, e + 1 < recording.Events.Count ? Seconds(recording.Events[e + 1].Start)
                : double.PositiveInfinity);
            if (scores.Where((s, i) => s > threshold && TimeOf(i) >= Seconds(start) && TimeOf(i) <= last).Any()) found++;
        }
        return $"{found} of {count}";
    }

    public void Save(string path, double[] before, double[] after)
    {
        var multiplot = new Multiplot();
        multiplot.Reset(Spectrum());
        multiplot.AddPlot(Scores(before, after));
        multiplot.Layout = new ScottPlot.MultiplotLayouts.Rows();
        multiplot.SavePng(path, Width, Height);
        Console.WriteLine($"picture: {path}");
    }

    private static double Seconds(int samples) => samples / (double)Settings.SampleRate;

    // A score is known when its last frame has been heard.
    private double TimeOf(int score) => Seconds(Features.SamplesOf(score + frames));

    private Plot Spectrum()
    {
        int count = features.Length / Features.Bands;
        double[,] image = new double[Features.Bands, count];
        for (int i = 0; i < count; i++)
        {
            // The first row of a heat map is its top.
            for (int band = 0; band < Features.Bands; band++)
                image[Features.Bands - 1 - band, i] = features[(i * Features.Bands) + band];
        }
        Plot plot = NewPlot("mel band");
        ScottPlot.Plottables.Heatmap map = plot.Add.Heatmap(image);
        map.Extent = new CoordinateRect(0, Seconds(count * Features.Step), 0, Features.Bands);
        plot.Title("a recording, and when the head hears the word", 15);
        plot.Axes.SetLimits(0, Seconds(recording.Samples.Length), 0, Features.Bands);
        return plot;
    }

    private Plot Scores(double[] before, double[] after)
    {
        Plot plot = NewPlot("score");
        bool[] named = new bool[2];
        foreach ((int start, int end, bool isWord) in recording.Events)
        {
            ScottPlot.Plottables.HorizontalSpan span = plot.Add.HorizontalSpan(Seconds(start), Seconds(end));
            span.FillColor = (isWord ? Word : Other).WithAlpha(0.25);
            span.LineWidth = 0;
            if (!named[isWord ? 1 : 0]) span.LegendText = isWord ? "the word" : "another sound";
            named[isWord ? 1 : 0] = true;
        }
        Add(before, Other, "before training").LinePattern = LinePattern.Dotted;
        Add(after, Line, "after");
        ScottPlot.Plottables.HorizontalLine level = plot.Add.HorizontalLine(threshold, 1, Colors.Black, LinePattern.Dashed);
        level.LegendText = string.Create(CultureInfo.InvariantCulture, $"threshold {threshold:F2}");
        plot.XLabel("seconds", 12);
        plot.Axes.SetLimits(0, Seconds(recording.Samples.Length), -0.05, 1.05);
        plot.ShowLegend(Edge.Bottom).Legend.Orientation = Orientation.Horizontal;
        return plot;

        ScottPlot.Plottables.Scatter Add(double[] scores, Color color, string name)
        {
            ScottPlot.Plottables.Scatter line = plot.Add.ScatterLine(scores.Select((_, i) => TimeOf(i)).ToArray(), scores, color);
            (line.LineWidth, line.LegendText) = (2, name);
            return line;
        }
    }

    private static Plot NewPlot(string axis)
    {
        var plot = new Plot();
        if (SkiaSharp.SKFontManager.Default.FontFamilies.Contains("DejaVu Sans")) plot.Font.Set("DejaVu Sans");
        plot.YLabel(axis, 12);
        plot.Axes.Left.MinimumSize = 60;
        plot.Axes.Left.MaximumSize = 60;
        plot.Grid.MajorLineColor = Color.FromHex("#E4E4E4");
        return plot;
    }
}
