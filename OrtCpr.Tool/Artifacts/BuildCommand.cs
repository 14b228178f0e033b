using System.CommandLine;
using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.Tool.Train;

namespace OrtCpr.Tool.Artifacts;

// `ortcpr artifacts build MODEL --out DIR`: the files of a training job from a plain exported model, without Python.
internal static class BuildCommand
{
    private const string Stock = "stock", Genuine = "ort-training-1.19";

    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string> target =
            new("--target")
            {
                Description = $"{Stock}: a job folder for OrtCpr. {Genuine}: training_model.onnx, eval_model.onnx, "
                    + "optimizer_model.onnx and checkpoint for the runtime of that package (C#, C++, Android, the browser).",
                DefaultValueFactory = _ => Stock
            };
        Option<string> folder = new("--out") { Description = "Folder for the files.", Required = true };
        var job = new JobOptions();
        Command command = new("build",
            "Writes the files of a training job from an exported model.\n\nExample:\n  ortcpr artifacts build model.onnx --out job "
            + "--optimizer adamcpr") { model, target, folder };
        job.AddTo(command);
        command.SetAction(r =>
        {
            TrainingPlan graphs = TrainingGraphBuilder.Build(r.GetValue(model)!, job.Read(r, steps: null));
            foreach (string warning in graphs.Warnings) Console.Error.WriteLine($"warning: {warning}");
            string path = r.GetValue(folder)!;
            switch (r.GetValue(target))
            {
                case Stock:
                    using (var driver = new TrainingDriver(graphs)) ArtifactsFolder.Save(driver, path);
                    break;
                case Genuine:
                    GenuineArtifacts.Write(graphs, path);
                    break;
                default:
                    throw new ToolException($"--target '{r.GetValue(target)}' is not known; expected {Stock} or {Genuine}.");
            }
            Console.WriteLine($"wrote {string.Join(", ", Directory.GetFiles(path).Select(Path.GetFileName).Order(StringComparer.Ordinal))} "
                + $"in '{path}'");
            return 0;
        });
        return command;
    }
}
