using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using OrtCpr.Metrics;
using OrtCpr.Tool.Figures;
using ScottPlot;

namespace OrtCpr.Tool.Report;

// A run as one HTML file that needs nothing beside it: curves, classes, the worst examples, bounds and settings.
internal static class HtmlReport
{
    private const int LargeWidth = 530, LargeHeight = 330, SmallWidth = 240, SmallHeight = 160, MostClasses = 40;

    private const string Style = """
        :root { color-scheme: light; }
        body { font: 15px/1.5 system-ui, sans-serif; color: #1d2430; background: #f4f5f7; margin: 0; }
        main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 48px; }
        h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 12px; }
        .muted { color: #667085; } .row { display: flex; flex-wrap: wrap; gap: 12px; }
        .card { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; padding: 12px 16px; overflow-x: auto; }
        .figure b { display: block; font-size: 20px; } .figure span { color: #667085; font-size: 13px; }
        table { border-collapse: collapse; font-size: 13px; } td, th { padding: 4px 10px; text-align: right; white-space: nowrap; }
        th { font-weight: 600; color: #475467; } td:first-child, th:first-child { text-align: left; }
        .matrix td { min-width: 34px; text-align: center; } .matrix th.top { writing-mode: vertical-rl; transform: rotate(180deg); }
        .examples figure { margin: 0; width: 120px; text-align: center; font-size: 12px; }
        .examples img { width: 96px; height: 96px; object-fit: contain; image-rendering: pixelated; background: #eef0f3; }
        .wrong { color: #b42318; } svg { max-width: 100%; height: auto; display: block; }
        """;

    public static string Of(string folder)
    {
        RunLog run = RunLog.Read(folder);
        ValidationDetails? details = ValidationDetails.Read(folder);
        (string Option, string Value)[] settings = [.. Settings(folder)];
        var html = new StringBuilder();
        string title = Encoded(run.Name);
        html.Append("<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" ")
            .Append("content=\"width=device-width, initial-scale=1\">\n<title>").Append(title).Append("</title>\n<style>\n").Append(Style)
            .Append("</style></head>\n<body><main>\n<h1>").Append(title).Append("</h1>\n<div class=\"muted\">")
            .Append(Encoded(Subtitle(run, settings))).Append("</div>\n");
        Summary(html, run, details);
        html.Append("<h2>Curves</h2>\n<div class=\"row\">\n");
        (IReadOnlyList<Plot> large, IReadOnlyList<Plot> small) = RunFigure.Plots(run, new StepAxis());
        foreach (Plot plot in large) Card(html, plot.GetSvgXml(LargeWidth, LargeHeight));
        html.Append("</div>\n");
        if (details is not null)
        {
            Classes(html, details.Matrix);
            Examples(html, details);
        }
        if (small.Count > 0)
        {
            html.Append("<h2>Bounds</h2>\n<p class=\"muted\">R/κ of each constrained matrix (left axis, the bound is at 1) and its ")
                .Append("Lagrange multiplier λ (right axis).</p>\n<div class=\"row\">\n");
            foreach (Plot plot in small) Card(html, plot.GetSvgXml(SmallWidth, SmallHeight));
            html.Append("</div>\n");
        }
        if (settings.Length > 0)
        {
            html.Append("<h2>Settings</h2>\n<div class=\"card\"><table>\n");
            foreach ((string option, string value) in settings)
                html.Append("<tr><td>").Append(Encoded(option)).Append("</td><td>").Append(Encoded(value)).Append("</td></tr>\n");
            html.Append("</table></div>\n");
        }
        return html.Append("</main></body></html>\n").ToString();
    }

    private static string Subtitle(RunLog run, (string Option, string Value)[] settings)
    {
        string model = settings.FirstOrDefault(s => s.Option == "arguments").Value ?? "";
        double seconds = run.Values("seconds").Select(v => v.Value).DefaultIfEmpty().Max();
        return string.Create(CultureInfo.InvariantCulture, $"{model}{(model.Length > 0 ? " · " : "")}{seconds:F0} s of training");
    }

    private static void Summary(StringBuilder html, RunLog run, ValidationDetails? details)
    {
        html.Append("<div class=\"row\" style=\"margin-top:16px\">\n");
        Figure(html, "steps", run.Rows.Count == 0 ? 0 : run.Rows.Max(r => r[0]), "0");
        foreach (string column in run.Columns.Skip(3).Where(c => c is not "learning_rate"))
        {
            IReadOnlyList<(double Step, double Value)> values = run.Values(column);
            if (values.Count > 0) Figure(html, $"last {column.Replace('_', ' ')}", values[^1].Value, "G5");
        }
        // That of the trained model where no evaluation has had it.
        if (details is not null && !run.Columns.Contains("validation_accuracy"))
            Figure(html, "accuracy of the trained model", details.Matrix.Accuracy, "F3");
        html.Append("</div>\n");
    }

    private static void Figure(StringBuilder html, string name, double value, string format) =>
        html.Append("<div class=\"card figure\"><b>").Append(value.ToString(format, CultureInfo.InvariantCulture)).Append("</b><span>")
            .Append(Encoded(name)).Append("</span></div>\n");

    private static void Classes(StringBuilder html, ConfusionMatrix matrix)
    {
        html.Append("<h2>Classes</h2>\n<div class=\"row\">\n");
        if (matrix.Classes <= MostClasses)
        {
            html.Append("<div class=\"card\"><table class=\"matrix\"><caption class=\"muted\">true classes down, found ones across")
                .Append("</caption>\n<tr><th></th>");
            foreach (string name in matrix.ClassNames) html.Append("<th class=\"top\">").Append(Encoded(name)).Append("</th>");
            html.Append("</tr>\n");
            for (int t = 0; t < matrix.Classes; t++)
            {
                html.Append("<tr><td>").Append(Encoded(matrix.ClassNames[t])).Append("</td>");
                for (int f = 0; f < matrix.Classes; f++) Cell(html, matrix, t, f);
                html.Append("</tr>\n");
            }
            html.Append("</table></div>\n");
        }
        html.Append("<div class=\"card\"><table><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>examples</th></tr>\n");
        foreach (int c in Enumerable.Range(0, matrix.Classes).OrderBy(matrix.F1).Take(MostClasses))
        {
            html.Append(CultureInfo.InvariantCulture, $"<tr><td>{Encoded(matrix.ClassNames[c])}</td><td>{matrix.Precision(c):F3}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td>{matrix.Recall(c):F3}</td><td>{matrix.F1(c):F3}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td>{matrix.Support(c)}</td></tr>\n");
        }
        html.Append("</table></div>\n</div>\n");
    }

    // The share of the true class; mistakes in another colour.
    private static void Cell(StringBuilder html, ConfusionMatrix matrix, int truth, int found)
    {
        long count = matrix[truth, found];
        double share = count / Math.Max(1.0, matrix.Support(truth));
        string colour = truth == found ? "16, 130, 90" : "200, 50, 40";
        html.Append(CultureInfo.InvariantCulture, $"<td style=\"background: rgba({colour}, {0.85 * share:F3})\">")
            .Append(count == 0 ? "" : count.ToString(CultureInfo.InvariantCulture)).Append("</td>");
    }

    private static void Examples(StringBuilder html, ValidationDetails details)
    {
        if (details.Worst.Length == 0) return;
        ConfusionMatrix matrix = details.Matrix;
        html.Append("<h2>Examples with the largest losses</h2>\n<div class=\"row examples\">\n");
        foreach (WorstExample example in details.Worst)
        {
            html.Append("<figure class=\"card\">");
            if (example.Picture is not null)
                html.Append("<img alt=\"\" src=\"data:image/png;base64,").Append(Convert.ToBase64String(example.Picture)).Append("\">");
            html.Append("<div>").Append(Encoded(matrix.ClassNames[example.Truth])).Append("</div><div class=\"")
                .Append(example.Found == example.Truth ? "muted" : "wrong").Append("\">found: ")
                .Append(Encoded(matrix.ClassNames[example.Found])).Append("</div><div class=\"muted\">")
                .Append(CultureInfo.InvariantCulture, $"loss {example.Loss:F2}, example {example.Row}</div></figure>\n");
        }
        html.Append("</div>\n");
    }

    private static IEnumerable<(string Option, string Value)> Settings(string folder)
    {
        string? path = new[] { Path.Combine(folder, "run.json"), Path.Combine(folder, "..", "run.json") }.FirstOrDefault(File.Exists);
        if (path is null) yield break;
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(File.ReadAllText(path));
        }
        catch (JsonException)
        {
            // Settings are told where they can be read.
            yield break;
        }
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object) yield break;
            foreach (JsonProperty setting in document.RootElement.EnumerateObject())
            {
                yield return (setting.Name, setting.Value.ValueKind == JsonValueKind.Array
                    ? string.Join(' ', setting.Value.EnumerateArray().Select(v => v.ToString())) : setting.Value.ToString());
            }
        }
    }

    private static void Card(StringBuilder html, string svg) =>
        html.Append("<div class=\"card\">").Append(svg[Math.Max(0, svg.IndexOf("<svg", StringComparison.Ordinal))..]).Append("</div>\n");

    private static string Encoded(string text) => WebUtility.HtmlEncode(text);
}
