using System.Globalization;

namespace OrtCpr.Tool.Train;

// Which bounds are set, where they stand and which bind.
internal static class ConstraintTable
{
    public static void Write(OptimizerDriver optimizer)
    {
        IReadOnlyList<ConstraintInfo> rows = optimizer.MeasureConstraints();
        if (rows.Count == 0) return;
        int width = Math.Max("matrix".Length, rows.Max(r => r.Name.Length));
        Console.WriteLine($"{"matrix".PadRight(width)}  {"R",11}  {"kappa",11}  {"lambda",11}  bound");
        foreach (ConstraintInfo row in rows)
        {
            string bound = !row.IsSet ? "not set" : row.Lambda > 0 ? "binds" : row.EverActive ? "has bound" : "never bound";
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{row.Name.PadRight(width)}  {row.Measure,11:G5}  "
                + $"{(row.IsSet ? row.Kappa.ToString("G5", CultureInfo.InvariantCulture) : "-"),11}  {row.Lambda,11:G4}  {bound}"));
        }
    }
}
