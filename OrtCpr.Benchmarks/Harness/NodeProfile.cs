using System.Globalization;
using System.Text.Json;

namespace OrtCpr.Benchmarks.Harness;

/// <summary>Sums ONNX Runtime's node timings by graph and operator.</summary>
internal static class NodeProfile
{
    private const int Rows = 25;

    /// <summary>What the sessions of a folder's profiles took to be made, together.</summary>
    public static double SessionSeconds(string folder)
    {
        double sum = 0;
        foreach (string file in Directory.EnumerateFiles(folder, "*.json"))
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(file));
            sum += document.RootElement.EnumerateArray()
                .Where(e => e.TryGetProperty("cat", out JsonElement cat) && cat.GetString() == "Session" && e.GetProperty("name").GetString() == "session_initialization")
                .Sum(e => e.GetProperty("dur").GetDouble());
        }
        return sum / 1e6;
    }

    /// <summary>A table of the operators that took longest, from the profiles in a folder.</summary>
    /// <param name="folder">JSON files that sessions wrote, named by their graph.</param>
    /// <param name="runs">Runs that they cover; times are given for one.</param>
    public static string Summarize(string folder, int runs)
    {
        var sums = new Dictionary<(string Graph, string Operator), (double Time, long Count)>();
        foreach (string file in Directory.EnumerateFiles(folder, "*.json"))
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file));
            string graph = Path.GetFileName(file).Split('_')[0];
            foreach (JsonElement row in document.RootElement.EnumerateArray().Where(e => e.TryGetProperty("cat", out JsonElement cat) && cat.GetString() == "Node"))
            {
                if (!row.GetProperty("name").GetString()!.EndsWith("_kernel_time", StringComparison.Ordinal)) continue;
                (string, string) key = (graph, row.GetProperty("args").GetProperty("op_name").GetString()!);
                (double time, long count) = sums.GetValueOrDefault(key);
                sums[key] = (time + row.GetProperty("dur").GetDouble(), count + 1);
            }
        }
        double total = sums.Values.Sum(s => s.Time) / runs;
        IEnumerable<string> lines = sums.OrderByDescending(s => s.Value.Time).Take(Rows).Select(s => string.Create(CultureInfo.InvariantCulture,
            $"{s.Key.Graph,-14}{s.Key.Operator,-32}{s.Value.Time / runs / 1000,10:F3} ms {s.Value.Time / runs / total,7:P1} {(double)s.Value.Count / runs,7:F0} calls"));
        return string.Create(CultureInfo.InvariantCulture, $"all nodes: {total / 1000:F3} ms a step\n") + string.Join('\n', lines);
    }
}
