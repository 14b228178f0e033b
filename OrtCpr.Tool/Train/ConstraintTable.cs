using System.Globalization;

namespace OrtCpr.Tool.Train;

// Which bounds are set, where they stand and which bind.
internal static class ConstraintTable
{
    public static void Write(OptimizerDriver optimizer)
    {
        IReadOnlyList<ConstraintMeasure> rows = optimizer.MeasureConstraints();
        if (rows.Count == 0) return;
        Dictionary<string, ConstraintInfo> info = optimizer.GetConstraints().ToDictionary(c => c.Name, StringComparer.Ordinal);
        int width = Math.Max("matrix".Length, rows.Max(r => r.Name.Length));
        Console.WriteLine($"{"matrix".PadRight(width)}  {"R",11}  {"kappa",11}  {"lambda",11}  bound");
        foreach (ConstraintMeasure row in rows)
        {
            string bound = !row.IsSet ? "not set" : row.Lambda > 0 ? "binds" : info[row.Name].EverActive ? "has bound" : "never bound";
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{row.Name.PadRight(width)}  {row.Measure,11:G5}  "
                + $"{(row.IsSet ? row.Kappa.ToString("G5", CultureInfo.InvariantCulture) : "-"),11}  {row.Lambda,11:G4}  {bound}"));
        }
    }
}
