using System.CommandLine;
using OrtCpr.Graph.Optimizers;
using OrtCpr.OrtTraining;

namespace OrtCpr.Tool.Artifacts;

// `ortcpr artifacts …`: files of training jobs.
internal static class ArtifactsCommand
{
    public static Command Create() => new("artifacts", "Files of training jobs: for OrtCpr, and for ONNX Runtime's own on-device training.")
    {
        BuildCommand.Create(),
        SwapOptimizer(),
        FixturesCommand.Create(),
        ReplayCommand.Create(),
    };

    // Betas and epsilon stay those of the artifacts, so that the moments keep their meaning.
    private static Command SwapOptimizer()
    {
        Argument<string> folder =
            new("FOLDER")
            {
                Description = "Folder with training_model.onnx, optimizer_model.onnx, checkpoint and, as a rule, "
                    + "eval_model.onnx."
            };
        Option<string?> checkpoint = new("--checkpoint") { Description = "Checkpoint to go on from; FOLDER/checkpoint by default." };
        Option<double?> clip =
            new("--max-grad-norm")
            {
                Description = "Clips the gradients' global norm, 0 for no clipping; that of the artifacts by "
                    + "default."
            };
        Option<string> target = new("--out") { Description = "Folder to write.", Required = true };
        var rule = new RuleOptions("adamcpr");
        Command command = new("swap-optimizer",
            "Lets a job go on with another optimizer; moments are kept.\n\nExample:\n  ortcpr artifacts swap-optimizer job --out job-cpr "
            + "--optimizer adamcpr") { folder, checkpoint, clip, target };
        rule.AddTo(command);
        command.SetAction(r =>
        {
            OptimizerSwap swap = OptimizerSwap.Open(r.GetValue(folder)!, r.GetValue(checkpoint));
            UpdateRule chosen = rule.Read(r, swap.Adam ?? new ScaleByAdam());
            swap.Write(new OptimizerOptions { Groups = [chosen], MaxGradientNorm = r.GetValue(clip) ?? swap.MaxGradientNorm },
                r.GetValue(target)!);
            Console.WriteLine($"{swap.Trained.Count} parameters, {swap.Trained.Count(p => p.Constrained)} of them constrained, go on from "
                + $"step {swap.Step}: {r.GetValue(target)}");
            return 0;
        });
        return command;
    }
}
