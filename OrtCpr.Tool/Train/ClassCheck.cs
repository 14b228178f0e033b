using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Heads;

namespace OrtCpr.Tool.Train;

// Classes of the data beside those of the model.
internal static class ClassCheck
{
    // Refuses data with more classes than the model, before the first step finds a label beyond them; fewer are a warning.
    public static void Run(TrainingPlan plan, DataSource training)
    {
        int names = NamesOf(training).Length;
        if (names == 0 || Classes(plan) is not long classes || names == classes) return;
        string found = $"The data have {names} classes ({Few(NamesOf(training))}), and the model gives scores of {classes}.";
        if (names > classes) throw new ToolException($"{found} Put a head of {names} classes on it by --head classes={names}.");
        Console.Error.WriteLine($"warning: {found} If the others are not wanted, put a head of {names} classes on it by --head "
            + $"classes={names}.");
    }

    // The names go into the trained model, unless it has some already.
    public static void NameClasses(string path, TrainingPlan plan, DataSource training)
    {
        ImmutableArray<string> names = NamesOf(training);
        if (names.Length == 0 || (Classes(plan) is long classes && classes != names.Length)) return;
        ImmutableArray<string> old = ModelHead.ClassNames(path);
        if (old.Length == 0)
        {
            ModelHead.NameClasses(path, path, names);
        }
        else if (!old.SequenceEqual(names))
        {
            Console.Error.WriteLine($"warning: the model's names of classes stay ({Few(old)}), although the data have others "
                + $"({Few(names)})");
        }
    }

    private static ImmutableArray<string> NamesOf(DataSource source) =>
        source.Columns.FirstOrDefault(c => c.IsLabel && c.ClassNames.Length > 0)?.ClassNames ?? [];

    // Of the only loss that has classes; of labels that are probabilities, their width.
    private static long? Classes(TrainingPlan plan)
    {
        if (plan.LossTerms.Where(t => t.IgnoredLabel is not null).ToArray() is [LossTerm term]) return term.Classes;
        return plan.BatchInputs.Where(i => i.IsLabel).ToArray() is [{ Type: ElementType.Float, Dimensions: [_, string width] }]
            && long.TryParse(width, out long count) && count > 1 ? count : null;
    }

    private static string Few(ImmutableArray<string> names) =>
        string.Join(", ", names.Take(5)) + (names.Length > 5 ? $" and {names.Length - 5} more" : "");
}
