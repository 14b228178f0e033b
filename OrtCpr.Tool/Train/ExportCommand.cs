using System.CommandLine;
using OrtCpr.Checkpoints;

namespace OrtCpr.Tool.Train;

// `ortcpr export JOB --out MODEL`: the model of a job with the weights of one of its checkpoints, for inference.
internal static class ExportCommand
{
    public static Command Create()
    {
        Argument<string> job = new("JOB") { Description = "The --out folder of a run." };
        Option<string?> checkpoint =
            new("--checkpoint") { Description = "A checkpoint of the run, such as best.safetensors; the last one by default." };
        Option<string> target = new("--out") { Description = "The model.", DefaultValueFactory = _ => "model.onnx" };
        Option<bool> free = new("--free-batch")
        {
            Description = "Write a model that came with a fixed batch for batches of any size; where constants held the size, with "
                + "opset 18 or later.",
        };
        Command command = new("export",
            "Writes the trained model of a run.\n\nExample:\n  ortcpr export trained --checkpoint trained/best.safetensors --out "
            + "best.onnx") { job, checkpoint, target, free };
        command.SetAction(r =>
        {
            using TrainingDriver driver = EvaluateCommand.Load(r.GetValue(job)!, new DriverOptions { Threads = 1 });
            if (r.GetValue(checkpoint) is string saved) TrainingCheckpoint.Load(driver, saved);
            driver.ExportModel(r.GetValue(target)!, r.GetValue(free));
            Console.WriteLine(r.GetValue(target));
            return 0;
        });
        return command;
    }
}
