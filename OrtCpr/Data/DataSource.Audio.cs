using OrtCpr.Graph;

namespace OrtCpr.Data;

public abstract partial class DataSource
{
    /// <summary>WAV files: those of a folder, whose subfolders are classes, or those that a CSV file names. Columns: <c>audio</c>
    /// Float [samples], or [channels, samples], and <c>label</c> Int64 where there are classes, whose names are in <see
    /// cref="DataColumn.ClassNames"/>.</summary>
    /// <remarks>Classes and files are in ordinal order. A folder without subfolders that have WAV files has no label. Samples are
    /// read, mixed and resampled when they are used, so that data may be larger than memory.</remarks>
    /// <param name="path">The folder, or the CSV file.</param>
    /// <param name="options">Null for 16 kHz, one channel, and the length of the longest file.</param>
    /// <exception cref="FileAccessException">The folder or the CSV file can't be read.</exception>
    /// <exception cref="OptionException">An option is out of range.</exception>
    /// <exception cref="DataFileException">A file is no WAV file or is missing, or of a rate that is refused; a column is missing; a
    /// class is unknown, or there is one only. At most ten places are named.</exception>
    public static DataSource FromWav(string path, WavOptions? options = null) => WavSource.Of(path, options ?? new WavOptions());
}
