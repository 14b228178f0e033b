using System.Globalization;
using System.Text.Json;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>Sums ONNX Runtime's timings by stage of the step and by operator.</summary>
internal static class NodeProfile
{
    private const int Rows = 25;

    /// <summary>What the names of gradient nodes have in common: they are made for p_grad or value_grad.</summary>
    private const string GradientMark = "_grad";

    private const string NodeSuffix = "_kernel_time";

    /// <summary>What the sessions of a folder's profiles took to be made, together.</summary>
    public static double SessionSeconds(string folder) => Directory.EnumerateFiles(folder, "*.json")
        .SelectMany(file => Events(file, "Session")).Where(e => e.Name == "session_initialization").Sum(e => e.Microseconds) / 1e6;

    /// <summary>A table of the stages, and one of the operators that took longest, from the profiles in a folder.</summary>
    /// <param name="folder">JSON files that sessions wrote, named by their graph.</param>
    /// <param name="warmup">Runs of each graph that do not count: in them memory is met for the first time.</param>
    /// <param name="runs">Runs after those; times are given for one.</param>
    public static string Summarize(string folder, int warmup, int runs)
    {
        (string Stage, string Operator, double Time)[] nodes =
        [
            .. Directory.EnumerateFiles(folder, "*.json").SelectMany(file => Warm(file, warmup)
                .Where(e => e.Name.EndsWith(NodeSuffix, StringComparison.Ordinal))
                .Select(e => (StageOf(Path.GetFileName(file).Split('_')[0], e.Name), e.Operator, e.Microseconds))),
        ];
        double total = nodes.Sum(n => n.Time);
        IEnumerable<string> stages = nodes.GroupBy(n => n.Stage).Select(g => Line(g.Key, "", [.. g.Select(n => n.Time)], runs, total));
        IEnumerable<string> operators = nodes.GroupBy(n => (n.Stage, n.Operator)).OrderByDescending(g => g.Sum(n => n.Time)).Take(Rows)
            .Select(g => Line(g.Key.Stage, g.Key.Operator, [.. g.Select(n => n.Time)], runs, total));
        return string.Join('\n',
            [string.Create(CultureInfo.InvariantCulture, $"all nodes: {total / runs / 1000:F3} ms a step"), .. stages, "", .. operators]);
    }

    private static string Line(string stage, string name, IReadOnlyCollection<double> times, int runs, double total) =>
        string.Create(CultureInfo.InvariantCulture,
        $"{stage,-14}{name,-32}{times.Sum() / runs / 1000,10:F3} ms {times.Sum() / total,7:P1} {(double)times.Count / runs,7:F0} calls");

    private static string StageOf(string graph, string node) =>
        graph != "training" ? graph : node.Contains(GradientMark, StringComparison.Ordinal) ? "backward" : "forward";

    private static IEnumerable<Event> Warm(string file, int warmup)
    {
        double start = Events(file, "Session").Where(e => e.Name == "model_run").Select(e => e.Start).Order().ElementAtOrDefault(warmup);
        return start > 0 ? Events(file, "Node").Where(e => e.Start >= start) : [];
    }

    private static IReadOnlyList<Event> Events(string file, string category)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(file));
        return
        [
            .. document.RootElement.EnumerateArray().Where(e => e.TryGetProperty("cat", out JsonElement cat) && cat.GetString() == category)
                .Select(e =>
                    new Event(e.GetProperty("name").GetString()!, OperatorOf(e), e.GetProperty("ts").GetDouble(), e.GetProperty("dur")
                        .GetDouble())),
        ];
    }

    private static string OperatorOf(JsonElement row) =>
        row.GetProperty("args").TryGetProperty("op_name", out JsonElement name) ? name.GetString()! : "";

    private sealed record Event(string Name, string Operator, double Start, double Microseconds);
}
