using System.Globalization;
using ScottPlot;
using ScottPlot.MultiplotLayouts;

namespace Texts;

// Test sentences before and after, each in the plane of its two largest principal components.
internal static class Map
{
    private const int Width = 1200, Height = 560;

    public static void Save(string path, IReadOnlyList<string> topics, params (string Title, Embeddings Embeddings)[] panels)
    {
        var multiplot = new Multiplot();
        multiplot.Reset(Panel(topics, panels[0].Title, panels[0].Embeddings, legend: true));
        foreach ((string title, Embeddings embeddings) in panels.Skip(1))
            multiplot.AddPlot(Panel(topics, title, embeddings, legend: false));
        multiplot.Layout = new Columns();
        multiplot.SavePng(path, Width, Height);
        Console.WriteLine($"picture: {path}");
    }

    private static Plot Panel(IReadOnlyList<string> topics, string title, Embeddings embeddings, bool legend)
    {
        Color[] colors = [.. new ScottPlot.Palettes.Category10().Colors];
        var plot = new Plot();
        if (SkiaSharp.SKFontManager.Default.FontFamilies.Contains("DejaVu Sans")) plot.Font.Set("DejaVu Sans");
        (double[] x, double[] y, double share) = embeddings.Plane();
        for (int topic = 0; topic < topics.Count; topic++)
        {
            int[] rows = [.. Enumerable.Range(0, x.Length).Where(i => embeddings.Classes[i] == topic)];
            ScottPlot.Plottables.Scatter points = plot.Add.ScatterPoints(rows.Select(i => x[i]).ToArray(), rows.Select(i => y[i]).ToArray(),
                colors[topic % colors.Length]);
            points.MarkerSize = 9;
            points.LegendText = topics[topic];
        }
        plot.Title(title, 15);
        plot.XLabel("first principal component", 12);
        plot.YLabel(string.Create(CultureInfo.InvariantCulture, $"second (the two: {share:P0} of the variance)"), 12);
        plot.Grid.MajorLineColor = Color.FromHex("#E4E4E4");
        if (legend) plot.ShowLegend(Alignment.LowerRight);
        else plot.HideLegend();
        return plot;
    }
}
