using System.Text;

namespace OrtCpr.Tests.Gradients;

/// <summary>A row of Data/operators.csv.</summary>
internal sealed record OperatorRow(string Domain, string Name, string Versions, string Class, string Cpu, string OrtTraining, string Note)
{
    /// <summary>As rule tables name it.</summary>
    public string Key => Domain == "ai.onnx" ? Name : $"{Domain}.{Name}";

    public bool RunsOnCpu => Cpu != "none";

    public static IReadOnlyList<OperatorRow> All { get; } =
    [
        .. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Data", "operators.csv")).Skip(1).Select(Fields)
            .Select(f => new OperatorRow(f[0], f[1], f[2], f[3], f[4], f[6], f[9])),
    ];

    private static List<string> Fields(string line)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        bool quoted = false;
        foreach (char c in line)
        {
            bool ends = c == ',' && !quoted;
            if (ends) fields.Add(field.ToString());
            if (ends) field.Clear();
            if (c == '"') quoted = !quoted;
            if (!ends && c != '"') field.Append(c);
        }
        fields.Add(field.ToString());
        return fields;
    }
}
