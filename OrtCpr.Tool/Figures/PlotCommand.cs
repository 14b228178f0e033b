using System.CommandLine;
using OrtCpr.Tool.Train;

namespace OrtCpr.Tool.Figures;

// `ortcpr plot FOLDER…`: pictures of runs from what they have logged.
internal static class PlotCommand
{
    public static Command Create()
    {
        Argument<string[]> folders =
            new("FOLDER") { Description = "--out folders of runs; several are compared.", Arity = ArgumentArity.OneOrMore };
        Option<string?> target = new("--out") { Description = "The picture; plot.png in the folder, or compare.png, by default." };
        Option<bool> epochs = new("--epochs") { Description = "Epochs from left to right, in place of steps." },
            logarithmic = new("--log-axis") { Description = "A logarithmic axis of steps or epochs." };
        Command command = new("plot",
            "Draws loss, metrics, lambda and R/kappa of a run, or several runs in one picture.\n\nExamples:\n  ortcpr plot trained\n  "
            + "ortcpr plot runs/adamw runs/adamcpr --out compare.png") { folders, target, epochs, logarithmic };
        command.SetAction(r =>
        {
            string[] paths = r.GetValue(folders)!;
            RunLog[] runs = [.. paths.Select(p => RunLog.Read(p))];
            string path = r.GetValue(target) ?? (runs.Length == 1 ? Path.Combine(paths[0], "plot.png") : "compare.png");
            RunFigure.Save(runs, path, new StepAxis(r.GetValue(epochs), r.GetValue(logarithmic)));
            if (runs.Length > 1) Comparison.Write(runs);
            Console.WriteLine(path);
            return 0;
        });
        return command;
    }
}
