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
        Command command = new("export",
            "Writes the trained model of a run.\n\nExample:\n  ortcpr export trained --checkpoint trained/best.safetensors --out "
            + "best.onnx") { job, checkpoint, target };
        command.SetAction(r =>
        {
            using TrainingDriver driver = EvaluateCommand.Load(r.GetValue(job)!, new DriverOptions { Threads = 1 });
            if (r.GetValue(checkpoint) is string saved) TrainingCheckpoint.Load(driver, saved);
            driver.ExportModel(r.GetValue(target)!);
            Console.WriteLine(r.GetValue(target));
            return 0;
        });
        return command;
    }
}
